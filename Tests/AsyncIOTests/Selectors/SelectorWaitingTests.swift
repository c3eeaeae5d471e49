import AsyncIOSystem
import CAsyncIO
import Selectors
import Synchronization
import SystemPackage
import Testing

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// What every selector of the system promises about a wait, with real sockets.
struct SelectorWaitingTests {
    // covers: 13, 14, F37
    @Test(arguments: SystemSelector.all)
    func aWaitIsNeverShorterThanItsTimeout(kind: SystemSelector) throws {
        let selector = try kind.make()
        for registers in [false, true] {
            let (near, far) = try Socket.pair()
            if registers { try selector.register(near.descriptor, .read) }
            for nanoseconds: Int64 in [1, 1_000, 300_000, 1_500_000, 20_000_000] {
                let began = MonotonicClock.now.nanoseconds
                #expect(try selector.events(within: .nanoseconds(nanoseconds)).isEmpty)
                #expect(MonotonicClock.now.nanoseconds - began >= nanoseconds)
            }
            near.close()
            far.close()
        }
        selector.close()
    }

    /// On time alone a poll cannot be told from a short wait; a wait without end would be none.
    // covers: 14
    @Test(arguments: SystemSelector.all)
    func zeroAndLessDoNotWait(kind: SystemSelector) throws {
        let selector = try kind.make()
        try withSockets { near, far in
            try selector.register(near.descriptor, .read)
            for nanoseconds: Int64 in [0, -1, .min] {
                var events: [ReadyEvent] = []
                try selector.wait(timeoutNanoseconds: nanoseconds, into: &events)
                #expect(events.isEmpty)
            }
            far.put("x")
            for nanoseconds: Int64 in [0, -1, .min] {
                var events: [ReadyEvent] = [ReadyEvent(token: 99, readiness: .write)]
                try selector.wait(timeoutNanoseconds: nanoseconds, into: &events)
                // What was there stays.
                #expect(events.map(\.token) == [99, 1])
            }
        }
        selector.close()
    }

    // covers: 14
    @Test(arguments: SystemSelector.all, [nil, Duration.seconds(600)])
    func aWaitIsEndedByAnotherThread(kind: SystemSelector, timeout: Duration?) throws {
        let selector = try kind.make()
        let waker = try Waker()
        try selector.register(waker.descriptor, .read, token: 3)
        let other = OtherThread { waker.wake() }
        #expect(try selector.events(within: timeout).map(\.token) == [3])
        other.join()
        waker.drain()
        #expect(try selector.events().isEmpty)
        selector.close()
    }

    // covers: 15
    @Test(arguments: SystemSelector.all)
    func bothDirectionsComeAsOneEvent(kind: SystemSelector) throws {
        let selector = try kind.make()
        try withSockets { near, far in
            try selector.register(near.descriptor, [.read, .write], token: 4)
            #expect(try selector.events() == [ReadyEvent(token: 4, readiness: .write)])
            far.put("x")
            #expect(try selector.events() == [ReadyEvent(token: 4, readiness: [.read, .write])])
            near.fill()
            #expect(try selector.events() == [ReadyEvent(token: 4, readiness: .read)])
            near.empty()
            #expect(try selector.events().isEmpty)
            far.empty()
            #expect(try selector.events() == [ReadyEvent(token: 4, readiness: .write)])
        }
        selector.close()
    }

    /// The signals go to the thread that waits, again and again until the time is over.
    // covers: 16
    @Test func aSignalDoesNotEndTheWait() throws {
        // One that no other test catches: handlers are the process's.
        signal(SIGURG) { _ in interruptions.add(1, ordering: .relaxed) }
        defer { signal(SIGURG, SIG_DFL) }
        for kind in SystemSelector.all {
            let (events, waited) = try OtherThread.run { try eventsUnderSignals(kind.make()) }
            #expect(events.isEmpty)
            #expect(waited >= 60_000_000)
        }
    }

    // covers: 18
    @Test(arguments: SystemSelector.all)
    func afterUnregisterNothingIsTold(kind: SystemSelector) throws {
        let selector = try kind.make()
        try withSockets { near, far in
            try selector.register(near.descriptor, [.read, .write])
            far.put("x")
            #expect(try selector.events().count == 1)
            try selector.unregister(near.descriptor)
            #expect(try selector.events().isEmpty)
        }
        selector.close()
    }

    /// Closed behind the selector's back, the descriptor makes no wait spin: where it is told at all, it is told once.
    @Test(arguments: SystemSelector.all)
    func aClosedDescriptorIsToldAtMostOnce(kind: SystemSelector) throws {
        let selector = try kind.make()
        let (near, far) = try Socket.pair()
        let descriptor = try duplicate(near.descriptor, from: kind.firstNumber + 60)
        near.close()
        try selector.register(descriptor, .read, token: 5)
        try selector.register(far.descriptor, .read, token: 6)
        try descriptor.close()
        // The end that comes with the close: late, where a child that is being made has a copy of the descriptor.
        var told: [ReadyEvent] = []
        repeat {
            let events = try selector.events(within: .seconds(20))
            try #require(!events.isEmpty)
            told += events
        } while !told.contains { $0.token == 6 }
        #expect(told.filter { $0.token == 5 }.count <= 1)
        try selector.unregister(far.descriptor)
        #expect(try selector.events().isEmpty)
        #expect(try selector.events(within: .milliseconds(2)).isEmpty)
        try selector.unregister(descriptor)
        far.close()
        selector.close()
    }

    /// The order that the contract asks for: then a duplicate that lives on tells nothing.
    // covers: 20
    @Test(arguments: SystemSelector.all)
    func aDuplicateThatLivesOnTellsNothing(kind: SystemSelector) throws {
        let selector = try kind.make()
        try withSockets { near, far in
            let copy = try duplicate(near.descriptor, from: kind.firstNumber + 70)
            try selector.register(copy, .read)
            try selector.unregister(copy)
            try copy.close()
            far.put("x")
            #expect(try selector.events().isEmpty)
            #expect(try selector.events(within: .milliseconds(2)).isEmpty)
        }
        selector.close()
    }

    // covers: 22
    @Test(arguments: SystemSelector.all)
    func hangUpsAreReadableAndWritable(kind: SystemSelector) throws {
        let selector = try kind.make()
        let (near, far) = try Socket.pair()
        try selector.register(near.descriptor, .read, token: 1)
        far.close()
        // Late, where a child that is being made has a copy of the descriptor.
        #expect(try selector.events(within: .seconds(20)).first?.readiness.contains(.read) == true)
        try selector.modify(near.descriptor, .write, token: 2)
        let event = try #require(try selector.events().first)
        #expect(event.readiness.contains(.write) && !event.readiness.contains(.read) || selector.supportsEdgeTrigger)
        try selector.unregister(near.descriptor)
        near.close()

        // A pipe that nobody reads any more: an error, without room.
        var ends: [CInt] = [-1, -1]
        #expect(ends.withUnsafeMutableBufferPointer { aio_pipe($0.baseAddress!) } == 0)
        let writeEnd = FileDescriptor(rawValue: ends[1])
        try selector.register(writeEnd, .write, token: 3)
        try FileDescriptor(rawValue: ends[0]).close()
        #expect(try selector.events().first?.readiness.contains(.write) == true)
        try selector.unregister(writeEnd)
        try writeEnd.close()
        selector.close()
    }

    /// What a connection relies on that is watched for writing only when a send has blocked.
    // covers: 22
    @Test(arguments: SystemSelector.all)
    func modifyReportsADirectionThatIsReadyAlready(kind: SystemSelector) throws {
        let selector = try kind.make()
        let trigger: Trigger = selector.supportsEdgeTrigger ? .edge : .level
        let (near, far) = try Socket.pair()
        try selector.register(near.descriptor, interest: .read, trigger: trigger, token: 1)
        #expect(try selector.events().isEmpty)
        try selector.modify(near.descriptor, interest: [.read, .write], trigger: trigger, token: 1)
        #expect(try selector.events().map(\.readiness) == [.write])
        try selector.unregister(near.descriptor)
        near.close()
        far.close()
        selector.close()
    }

    #if os(Linux)
    // covers: 22
    @Test func urgentDataIsToldEdgeTriggered() throws {
        let selector = try EpollSelector()
        let (client, server) = try connectedByTCP()
        try selector.register(server.descriptor, interest: [.read, .write], trigger: .edge, token: 1)
        _ = try selector.events()
        var byte: UInt8 = 33
        #expect(send(client.descriptor.rawValue, &byte, 1, CInt(MSG_OOB)) == 1)
        let event = try #require(try selector.events(within: .seconds(20)).first)
        #expect(event.readiness.isSuperset(of: [.read, .urgent]))
        client.close()
        server.close()
        selector.close()
    }

    // covers: 12
    @Test(arguments: SystemSelector.all)
    func anEpollCanBeWatched(kind: SystemSelector) throws {
        let outer = try kind.make()
        let inner = try EpollSelector()
        try withSockets { near, far in
            try inner.register(near.descriptor, .read, token: 1)
            try outer.register(inner.descriptor, .read, token: 2)
            #expect(try outer.events().isEmpty)
            far.put("x")
            #expect(try outer.events() == [ReadyEvent(token: 2, readiness: .read)])
            #expect(try inner.events() == [ReadyEvent(token: 1, readiness: .read)])
            try outer.unregister(inner.descriptor)
        }
        inner.close()
        outer.close()
    }

    /// As it is promised for epoll. With poll and select, other threads go through the loop: `callSoonThreadsafe`.
    // covers: 21
    @Test func anotherThreadRegistersWhileOneWaits() throws {
        let selector = try EpollSelector()
        let shared = Unchecked(selector)
        try withSockets { near, far in
            try withSockets { second, secondFar in
                try selector.register(second.descriptor, .read, token: 1)
                let other = OtherThread {
                    try? shared.value.register(near.descriptor, .read, token: 2)
                    far.put("x")
                }
                #expect(try selector.events(within: nil).map(\.token) == [2])
                other.join()
                near.empty()
                let modifier = OtherThread {
                    try? shared.value.modify(second.descriptor, [.read, .write], token: 3)
                }
                #expect(try selector.events(within: nil) == [ReadyEvent(token: 3, readiness: .write)])
                modifier.join()
                _ = secondFar
            }
        }
        selector.close()
    }
    #endif
}

/// SAFETY: the test says what two threads do at the same time, as the selector allows it.
private struct Unchecked<Value>: @unchecked Sendable {
    let value: Value
    init(_ value: Value) { self.value = value }
}

private let interruptions = Atomic<Int>(0)

/// The events of a wait of 60 ms that signals interrupt all the time, and how long it took, in nanoseconds.
private func eventsUnderSignals(_ selector: any BaseSelector) throws -> ([ReadyEvent], Int64) {
    // Threads of the runtime block signals.
    var signals = sigset_t()
    sigemptyset(&signals)
    sigaddset(&signals, SIGURG)
    pthread_sigmask(SIG_UNBLOCK, &signals, nil)
    let waiting = Unchecked(pthread_self())
    let end = Flag()
    let other = OtherThread {
        while !end.isSet {
            pthread_kill(waiting.value, SIGURG)
            usleep(2_000)
        }
    }
    defer {
        end.set()
        other.join()
        selector.close()
    }
    // The first waits may be over before the other thread has its turn.
    while true {
        let before = interruptions.load(ordering: .relaxed)
        let began = MonotonicClock.now.nanoseconds
        let events = try selector.events(within: .milliseconds(60))
        let waited = MonotonicClock.now.nanoseconds - began
        if interruptions.load(ordering: .relaxed) > before { return (events, waited) }
    }
}
