import AsyncIOSystem
import Selectors
import SystemPackage
import Testing

/// What every selector of the system promises about its registrations, with real sockets.
///
/// Numbers that are closed and used again are high ones, which no other test gets.
struct SelectorRegistrationTests {
    // covers: 1, 2, 3, 5
    @Test(arguments: SystemSelector.all)
    func registrationsAreFoundRefusedAndEnded(kind: SystemSelector) throws {
        let selector = try kind.make()
        try withSockets { near, far in
            let descriptor = near.descriptor
            #expect(errno { () throws(Errno) in try selector.register(descriptor, []) } == .invalidArgument)
            for readiness in [Readiness.hangup, .urgent, Readiness(rawValue: 64)] {
                let interest = Interest(readiness)
                #expect(errno { () throws(Errno) in try selector.register(descriptor, interest) } == .invalidArgument)
            }
            #expect(selector.key(of: descriptor) == nil && selector.keys.count == 0)

            try selector.register(descriptor, .read, token: 7)
            let key = SelectorKey(descriptor: descriptor, interest: .read, token: 7)
            #expect(selector.key(of: descriptor) == key)
            #expect(errno { () throws(Errno) in try selector.register(descriptor, .write, token: 8) } == .fileExists)
            #expect(errno { () throws(Errno) in try selector.modify(descriptor, [], token: 8) } == .invalidArgument)
            #expect(Array(selector.keys) == [key])
            far.put("x")
            #expect(try selector.events().map(\.token) == [7])

            #expect(errno { () throws(Errno) in try selector.unregister(far.descriptor) } == .noSuchFileOrDirectory)
            try selector.unregister(descriptor)
            #expect(errno { () throws(Errno) in try selector.unregister(descriptor) } == .noSuchFileOrDirectory)
            #expect(try selector.events().isEmpty)
        }
        selector.close()
    }

    // covers: 4
    @Test(arguments: SystemSelector.all)
    func whatIsNoOpenDescriptorIsRefused(kind: SystemSelector) throws {
        let selector = try kind.make()
        let (near, far) = try Socket.pair()
        let closed = try duplicate(near.descriptor, from: kind.firstNumber + 00)
        try closed.close()
        for number in [-1, CInt.min, closed.rawValue] {
            let descriptor = FileDescriptor(rawValue: number)
            #expect(errno { () throws(Errno) in try selector.register(descriptor, .read) } == .badFileDescriptor)
        }
        #expect(selector.keys.count == 0)
        #expect(try selector.events().isEmpty)
        near.close()
        far.close()
        selector.close()
    }

    // covers: 4
    @Test(arguments: SystemSelector.all)
    func aRegularFileIsRefusedByEpollAndAlwaysReadyElsewhere(kind: SystemSelector) throws {
        let selector = try kind.make()
        let file = try FileDescriptor.open(#filePath, .readOnly)
        if kind.name == "epoll" {
            #expect(errno { () throws(Errno) in try selector.register(file, .read) } == .notPermitted)
            #expect(selector.keys.count == 0)
        } else {
            try selector.register(file, .read)
            #expect(try selector.events().first?.readiness.contains(.read) == true)
        }
        try file.close()
        selector.close()
    }

    // covers: 6
    @Test(arguments: SystemSelector.all)
    func unregisterWorksWhenTheDescriptorIsClosed(kind: SystemSelector) throws {
        let selector = try kind.make()
        let (near, far) = try Socket.pair()
        let descriptor = try duplicate(near.descriptor, from: kind.firstNumber + 10)
        near.close()
        try selector.register(descriptor, .read)
        try descriptor.close()
        try selector.unregister(descriptor)
        #expect(selector.keys.count == 0)
        #expect(try selector.events().isEmpty)
        far.close()
        selector.close()
    }

    // covers: 7
    @Test(arguments: SystemSelector.all)
    func unregisterLeavesTheFileAloneThatTookTheNumber(kind: SystemSelector) throws {
        let selector = try kind.make()
        let other = try kind.make()
        try withSockets { near, far in
            try withSockets { next, peer in
                let descriptor = try duplicate(near.descriptor, from: kind.firstNumber + 20)
                try selector.register(descriptor, .read)
                try replace(descriptor, by: next.descriptor)
                try other.register(descriptor, .read, token: 9)
                try selector.unregister(descriptor)
                peer.put("x")
                #expect(try other.events().map(\.token) == [9])
                #expect(try selector.events().isEmpty)
                // The number is free for a new registration, of the new file.
                try selector.register(descriptor, .read, token: 10)
                #expect(try selector.events().map(\.token) == [10])
                try selector.unregister(descriptor)
                try other.unregister(descriptor)
                try descriptor.close()
            }
        }
        selector.close()
        other.close()
    }

    // covers: 8
    @Test(arguments: SystemSelector.all)
    func modifyChangesMaskAndTokenAtOnce(kind: SystemSelector) throws {
        let selector = try kind.make()
        try withSockets { near, far in
            let descriptor = near.descriptor
            #expect(errno { () throws(Errno) in try selector.modify(descriptor, .read) } == .noSuchFileOrDirectory)
            try selector.register(descriptor, .read, token: 1)
            try selector.modify(descriptor, .write, token: 2)
            #expect(selector.key(of: descriptor)?.interest == .write)
            #expect(try selector.events() == [ReadyEvent(token: 2, readiness: .write)])
            try selector.modify(descriptor, .read, token: 3)
            #expect(try selector.events().isEmpty)
            far.put("x")
            #expect(try selector.events() == [ReadyEvent(token: 3, readiness: .read)])
        }
        selector.close()
    }

    #if os(Linux)
    // covers: 8
    @Test func aChangeThatTheKernelRefusesEndsTheRegistration() throws {
        let selector = try EpollSelector()
        let (near, far) = try Socket.pair()
        let descriptor = try duplicate(near.descriptor, from: SystemSelector.best.firstNumber + 30)
        try selector.register(descriptor, .read)
        try descriptor.close()
        #expect(errno { () throws(Errno) in try selector.modify(descriptor, .write) } == .badFileDescriptor)
        #expect(selector.key(of: descriptor) == nil)
        #expect(errno { () throws(Errno) in try selector.modify(descriptor, .write) } == .noSuchFileOrDirectory)
        near.close()
        far.close()
        selector.close()
    }
    #endif

    /// A closed descriptor shows whether the kernel is asked. epoll keeps the token in the kernel, so only what changes
    /// nothing at all is free there.
    // covers: 9
    @Test(arguments: SystemSelector.all)
    func theSameMaskAsksTheKernelNothing(kind: SystemSelector) throws {
        let selector = try kind.make()
        let (near, far) = try Socket.pair()
        let descriptor = try duplicate(near.descriptor, from: kind.firstNumber + 40)
        try selector.register(descriptor, .read, token: 1)
        if kind.name == "epoll" {
            try descriptor.close()
            try selector.modify(descriptor, .read, token: 1)
        } else {
            try selector.modify(descriptor, .read, token: 2)
            far.put("x")
            #expect(try selector.events().map(\.token) == [2])
            try descriptor.close()
            try selector.modify(descriptor, .read, token: 3)
            #expect(selector.key(of: descriptor)?.token == 3)
        }
        near.close()
        far.close()
        selector.close()
    }

    // covers: 10
    @Test(arguments: SystemSelector.all)
    func theKeysAreALiveView(kind: SystemSelector) throws {
        let selector = try kind.make()
        let keys = selector.keys
        try withSockets { near, far in
            #expect(Array(keys).isEmpty)
            try selector.register(near.descriptor, .read, token: 1)
            try selector.register(far.descriptor, [.read, .write], token: 2)
            #expect(keys.count == 2)
            #expect(Set(keys.map(\.token)) == [1, 2])
            try selector.modify(near.descriptor, .write, token: 3)
            #expect(keys[near.descriptor]?.token == 3)
            // Each is shown or not when its turn comes.
            for key in keys { try selector.unregister(key.descriptor) }
            #expect(keys.count == 0)
            try selector.register(near.descriptor, .read, token: 4)
            selector.close()
            #expect(keys.count == 0 && keys[near.descriptor] == nil && Array(keys).isEmpty)
        }
    }

    // covers: 11
    @Test(arguments: SystemSelector.all)
    func afterCloseEveryCallFails(kind: SystemSelector) throws {
        let selector = try kind.make()
        try withSockets { near, _ in
            try selector.register(near.descriptor, .read)
            selector.close()
            selector.close()
            let descriptor = near.descriptor
            #expect(errno { () throws(Errno) in try selector.register(descriptor, .read) } == .badFileDescriptor)
            #expect(errno { () throws(Errno) in try selector.modify(descriptor, .read) } == .badFileDescriptor)
            #expect(errno { () throws(Errno) in try selector.unregister(descriptor) } == .badFileDescriptor)
            #expect(errno { () throws(Errno) in _ = try selector.events() } == .badFileDescriptor)
            // The socket is not the selector's.
            #expect(near.localAddress != nil || near.pendingError() == nil)
        }
    }

    #if os(Linux)
    // covers: 11
    @Test func closingFreesTheKernelsSide() throws {
        let selector = try EpollSelector()
        let moved = try duplicate(selector.descriptor, from: SystemSelector.best.firstNumber + 50)
        selector.close()
        #expect(selector.descriptor.rawValue == -1)
        try moved.close()
    }
    #endif

    // covers: 17, F63
    @Test(arguments: SystemSelector.all)
    func highDescriptorsWorkOrAreRefused(kind: SystemSelector) throws {
        let selector = try kind.make()
        try withSockets { near, far in
            let high = try duplicate(near.descriptor, from: 1500)
            defer { try? high.close() }
            if let limit = selector.descriptorLimit {
                #expect(limit == 1024)
                #expect(errno { () throws(Errno) in try selector.register(high, .read) } == .tooManyOpenFiles)
                #expect(selector.keys.count == 0)
                // The first one that does not fit, and the last one that does.
                for number in [CInt(limit), CInt(limit) - 1] {
                    let edge = try duplicate(near.descriptor, from: number)
                    defer { try? edge.close() }
                    let failure = errno { () throws(Errno) in try selector.register(edge, .read, token: 5) }
                    #expect(failure == (edge.rawValue < limit ? nil : .tooManyOpenFiles))
                    far.put("x")
                    let told = try selector.events()
                    #expect(told.count == (failure == nil ? 1 : 0))
                    if failure == nil { try selector.unregister(edge) }
                }
            } else {
                try selector.register(high, .read, token: 6)
                far.put("x")
                #expect(try selector.events() == [ReadyEvent(token: 6, readiness: .read)])
                try selector.unregister(high)
            }
        }
        selector.close()
    }

    @Test(arguments: SystemSelector.all)
    func anEdgeIsRefusedWhereOnlyLevelsAreKnown(kind: SystemSelector) throws {
        let selector = try kind.make()
        try withSockets { near, far in
            let failure = errno { () throws(Errno) in
                try selector.register(near.descriptor, interest: .read, trigger: .edge, token: 1)
            }
            #expect(failure == (selector.supportsEdgeTrigger ? nil : .invalidArgument))
            far.put("x")
            let (first, second) = (try selector.events(), try selector.events())
            #expect(first.count == (failure == nil ? 1 : 0))
            #expect(second.isEmpty)
        }
        selector.close()
    }

    /// The last one takes the place of the one that goes: it is still told by its own token.
    @Test(arguments: SystemSelector.all)
    func whatIsLeftOfManyIsStillToldByItsToken(kind: SystemSelector) throws {
        let selector = try kind.make()
        let pairs = try (0..<50).map { _ in try Socket.pair() }
        for (index, pair) in pairs.enumerated() {
            try selector.register(pair.0.descriptor, .read, token: UInt64(index))
            pair.1.put("x")
        }
        var left = Set(0..<pairs.count)
        for index in [0, 49, 25, 24, 1, 48] + Array(stride(from: 2, to: 48, by: 3)) where left.remove(index) != nil {
            try selector.unregister(pairs[index].0.descriptor)
            #expect(Set(try selector.events().map { Int($0.token) }) == left)
        }
        for pair in pairs {
            pair.0.close()
            pair.1.close()
        }
        selector.close()
    }
}
