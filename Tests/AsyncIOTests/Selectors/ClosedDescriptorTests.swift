import AsyncIO
import AsyncIOSystem
import AsyncIOTesting
import Selectors
import SystemPackage
import Testing

/// Descriptors that are closed while they are watched, and duplicates of which stay open. epoll goes on to report them.
///
/// Numbers that are closed and used again are high ones, which no other test gets.
struct ClosedDescriptorTests {
    @Test(arguments: SystemSelector.all)
    func unregisterEndsTheEventsOfADescriptorThatWasClosedWhileADuplicateIsOpen(kind: SystemSelector) throws {
        let selector = try kind.make()
        var reported: [FileDescriptor] = []
        selector.closedDescriptorHandler = { reported.append($0) }
        try withSockets { near, far in
            try withSockets { other, otherPeer in
                let descriptor = try duplicate(near.descriptor, from: kind.firstNumber + 80)
                try selector.register(descriptor, .read, token: 7)
                try selector.register(other.descriptor, [.read, .write], token: 8)
                far.put("x")
                try descriptor.close()
                // What it reports now differs from selector to selector.
                _ = try selector.events()
                try selector.unregister(descriptor)
                #expect(selector.keys.count == 1)
                for _ in 0..<5 { #expect(try selector.events() == [ReadyEvent(token: 8, readiness: .write)]) }
                #expect(reported == (kind.name == "epoll" ? [descriptor] : []))
                // All else goes on, under the same numbers and tokens.
                otherPeer.put("x")
                #expect(try selector.events() == [ReadyEvent(token: 8, readiness: [.read, .write])])
                try selector.modify(other.descriptor, .read, token: 9)
                #expect(try selector.events().map(\.token) == [9])
                try selector.unregister(other.descriptor)
                #expect(try selector.events().isEmpty)
                // Nothing is left to report, and the number is free for another file.
                let again = try duplicate(near.descriptor, from: descriptor.rawValue)
                try selector.register(again, .read, token: 7)
                for _ in 0..<3 { #expect(try selector.events().map(\.token) == [7]) }
                #expect(reported.count <= 1)
                try selector.unregister(again)
                try again.close()
            }
        }
        selector.close()
    }

    /// The kernel may still have the registration of the same file under the same number, as after a removal that it
    /// has refused.
    @Test(arguments: SystemSelector.all)
    func theSameFileCanBeRegisteredAgainUnderANumberThatWasClosed(kind: SystemSelector) throws {
        let selector = try kind.make()
        try withSockets { near, far in
            let descriptor = try duplicate(near.descriptor, from: kind.firstNumber + 85)
            try selector.register(descriptor, .read, token: 7)
            try descriptor.close()
            try selector.unregister(descriptor)
            let again = try duplicate(near.descriptor, from: descriptor.rawValue)
            #expect(again == descriptor)
            try selector.register(again, .write, token: 8)
            far.put("x")
            #expect(try selector.events() == [ReadyEvent(token: 8, readiness: .write)])
            try selector.unregister(again)
            #expect(try selector.events().isEmpty)
            try again.close()
        }
        selector.close()
    }

    #if os(Linux)
    @Test func aNewEpollSetLosesNoEdgeAndLeavesOutWhatWasClosedSince() throws {
        let selector = try EpollSelector()
        let number = selector.descriptor
        var reported: Set<FileDescriptor> = []
        selector.closedDescriptorHandler = { reported.insert($0) }
        try withSockets { near, far in
            try withSockets { edge, edgePeer in
                try withSockets { quiet, quietPeer in
                    let closed = try duplicate(near.descriptor, from: SystemSelector.best.firstNumber + 90)
                    let closedToo = try duplicate(near.descriptor, from: SystemSelector.best.firstNumber + 91)
                    try selector.register(closed, .read, token: 1)
                    try selector.register(closedToo, .read, token: 2)
                    try selector.register(edge.descriptor, interest: [.read, .write], trigger: .edge, token: 3)
                    try selector.register(quiet.descriptor, interest: .read, trigger: .edge, token: 4)
                    #expect(try selector.events().map(\.token) == [3])
                    try closed.close()
                    try closedToo.close()
                    try selector.unregister(closed)
                    // Both are in the wait that finds the closed one: the edge is reported all the same.
                    edgePeer.put("x")
                    far.put("x")
                    #expect(try selector.events() == [ReadyEvent(token: 3, readiness: [.read, .write])])
                    #expect(reported == [closed, closedToo])
                    #expect(try selector.events().isEmpty)
                    #expect(selector.descriptor == number)
                    #expect(selector.isStale(closedToo) && !selector.isStale(edge.descriptor))
                    quietPeer.put("x")
                    // That question may have reported the edge again.
                    #expect(try selector.events(within: nil).contains(ReadyEvent(token: 4, readiness: .read)))
                    // It can still be unregistered, once.
                    try selector.unregister(closedToo)
                    #expect(errno { () throws(Errno) in try selector.unregister(closedToo) } == .noSuchFileOrDirectory)
                    #expect(selector.keys.count == 2)
                }
            }
        }
        selector.close()
    }
    #endif

    /// Only once: a loop that spun would have thousands of iterations.
    @Test(arguments: LoopKind.available)
    func aLoopSleepsAfterTheReaderOfAClosedDescriptorWasRemoved(kind: LoopKind) async throws {
        try await withVirtualTimeLoop(kind) { loop, _ in
            let warnings = Warnings()
            loop.debug.warningHandler = warnings.add
            let (near, far) = try Socket.pair()
            for round in 1...3 {
                let descriptor = try duplicate(near.descriptor, from: firstNumber(of: kind))
                var calls = 0
                try loop.addReader(descriptor) { calls += 1 }
                far.put("x")
                await loop.until { calls > 0 }
                try descriptor.close()
                #expect(loop.removeReader(descriptor))
                await loop.yield()
                let before = loop.statistics.ticks
                try await loop.sleep(for: .seconds(1))
                #expect(loop.statistics.ticks - before < 10)
                let found = warnings.all
                #expect(found.count == (kind == .epoll ? round : 0))
                if let last = found.last {
                    #expect(last.kind == .closedDescriptor)
                    #expect(
                        last.message.hasPrefix("Descriptor \(descriptor.rawValue) was closed while the loop watched it")
                    )
                }
            }
            #expect(loop.statistics.sources == 0)
            near.close()
            far.close()
        }
    }

    @Test(arguments: LoopKind.available)
    func aReaderThatNobodyRemovesIsNotCalledForEver(kind: LoopKind) async throws {
        try await withVirtualTimeLoop(kind) { loop, _ in
            loop.debug.warningHandler = { _ in }
            let (near, far) = try Socket.pair()
            let (second, secondPeer) = try Socket.pair()
            far.put("x")
            let descriptor = try duplicate(near.descriptor, from: firstNumber(of: kind) + 10)
            var calls = 0
            try loop.addReader(descriptor) { calls += 1 }
            await loop.until { calls == 2_100 }
            try descriptor.close()
            let former = loop.statistics.ticks
            try await loop.sleep(for: .seconds(1))
            #expect(loop.statistics.ticks - former < 1_100)
            let before = (calls, loop.statistics.ticks)
            try await loop.sleep(for: .seconds(1))
            #expect(calls == before.0)
            #expect(loop.statistics.ticks - before.1 < 10)
            // The number is another file's now, and a reader that is set hears of that one.
            try replace(descriptor, by: second.descriptor)
            var fresh = 0
            try loop.addReader(descriptor) { fresh += 1 }
            try await loop.sleep(for: .seconds(1))
            #expect(fresh == 0)
            secondPeer.put("x")
            await loop.until { fresh > 0 }
            #expect(loop.removeReader(descriptor))
            try descriptor.close()
            for socket in [near, far, second, secondPeer] { socket.close() }
        }
    }
}

/// Numbers for the tests of a kind of loop: what one closes is not another's.
private func firstNumber(of kind: LoopKind) -> CInt {
    640 + 20 * CInt(LoopKind.available.firstIndex(of: kind) ?? 0)
}
