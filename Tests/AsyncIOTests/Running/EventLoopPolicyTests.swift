import AsyncIOTesting
import Foundation
import Synchronization
import Testing

@testable import AsyncIO

/// Tests that set the process's policy run in a separate process, because other tests use the policy meanwhile.
struct EventLoopPolicyTests {
    // covers: 92
    @Test func threadHasNoLoopUntilOneIsSet() async throws {
        try await withLoopThread { loop in
            let error = #expect(throws: EventLoopError.self) { try getEventLoop() }
            #expect(error?.code == .noCurrentLoop)
            // The error names the thread.
            #expect(error?.description.contains("asyncio-test-") == true)
            setEventLoop(loop)
            let current = try getEventLoop()
            #expect(current === loop)
            // Other threads are not affected.
            let ofAnother = try OtherThread.run { code { _ = try getEventLoop() } }
            #expect(ofAnother == .noCurrentLoop)
            setEventLoop(nil)
        }
    }

    // covers: 94
    @Test func noLoopIsCreatedAfterTheLoopWasRemoved() async throws {
        try await withLoopThread { loop in
            setEventLoop(loop)
            setEventLoop(nil)
            #expect(code { _ = try getEventLoop() } == .noCurrentLoop)
        }
    }

    // covers: 93
    @Test func newLoopIsNotSetAnywhere() async throws {
        try await withLoopThread { _ in
            let loops = try (0..<3).map { _ in try newEventLoop() }
            #expect(Set(loops.map { ObjectIdentifier($0) }).count == 3)
            #expect(loops.allSatisfy { !$0.isClosed && !$0.isRunning })
            #expect(code { _ = try getEventLoop() } == .noCurrentLoop)
            for loop in loops { try loop.close() }
        }
    }

    // covers: 95
    @Test func runningLoopTakesPrecedenceOverThePolicy() async throws {
        try await withLoopThread { loop in
            let other = try newEventLoop()
            setEventLoop(other)
            let isRunning = try loop.runUntilComplete { try getEventLoop() === loop }
            #expect(isRunning)
            let current = try getEventLoop()
            #expect(current === other)
            setEventLoop(nil)
            try other.close()
        }
    }

    @Test func loopOfAThreadIsReleasedWhenTheThreadEnds() async throws {
        try await withLoopThread { _ in
            weak var kept: EventLoop?
            nonisolated(unsafe) let keep: (EventLoop) -> Void = { kept = $0 }
            OtherThread {
                if let loop = try? newEventLoop() {
                    keep(loop)
                    setEventLoop(loop)
                    try? loop.close()
                }
            }.join()
            #expect(kept == nil)
        }
    }

    @Test func policyDoesNotInheritTheLoopOfAReleasedPolicy() async throws {
        try await withLoopThread { loop in
            var inherited = 0
            // A new policy is likely to get the memory of the released one.
            for _ in 0..<20 {
                DefaultEventLoopPolicy().setEventLoop(loop)
                if (try? DefaultEventLoopPolicy().getEventLoop()) != nil { inherited += 1 }
            }
            #expect(inherited == 0)
            // The loop is not retained for it either.
            DefaultEventLoopPolicy().setEventLoop(nil)
        }
    }

    // covers: 96, 98
    @Test(.startsProcess) func customPolicyCreatesTheLoops() async {
        await #expect(processExitsWith: .success) {
            let policy = CountingPolicy()
            setEventLoopPolicy(policy)
            defer { setEventLoopPolicy(nil) }
            #expect(getEventLoopPolicy() === policy)
            try await withLoopThread { _ in
                let isOurs = try run { try getRunningLoop() is CountingLoop }
                #expect(isOurs)
                let loop = try newEventLoop()
                #expect(loop is CountingLoop)
                try loop.close()
            }
            setEventLoopPolicy(nil)
            #expect(getEventLoopPolicy() is DefaultEventLoopPolicy)
            #expect(getEventLoopPolicy() !== policy)
        }
    }

    @Test(.startsProcess) func defaultPolicyIsCreatedOnceForManyThreads() async {
        await #expect(processExitsWith: .success) {
            final class Shared: Sendable {
                let waiting = Atomic<Int>(8)
                // Retained, because a new policy may get the address of a released one.
                let policies = Locked<[any EventLoopPolicy]>([])
            }
            let shared = Shared()
            let threads = (0..<8).map { _ in
                OtherThread {
                    shared.waiting.subtract(1, ordering: .acquiringAndReleasing)
                    while shared.waiting.load(ordering: .acquiring) > 0 { sched_yield() }
                    let policy = getEventLoopPolicy()
                    shared.policies.withLock { $0.append(policy) }
                }
            }
            for thread in threads { thread.join() }
            let made = shared.policies.withLock { $0 }
            #expect(made.count == 8)
            #expect(made.allSatisfy { $0 === made[0] && $0 is DefaultEventLoopPolicy })
            #expect(getEventLoopPolicy() === made[0])
        }
    }

    // covers: 93, 98
    @Test func loopFactoryCreatesTheLoopsOfAPolicy() async throws {
        try await withLoopThread { _ in
            let count = Locked(0)
            let policy = DefaultEventLoopPolicy(loopFactory: {
                count.withLock { $0 += 1 }
                return try CountingLoop()
            })
            let loops = try (1...2).map { number in
                let loop = try policy.newEventLoop()
                #expect(loop is CountingLoop)
                #expect(count.withLock { $0 } == number)
                return loop
            }
            #expect(loops[0] !== loops[1])
            // None is created for a thread that has none.
            #expect(code { _ = try policy.getEventLoop() } == .noCurrentLoop)
            #expect(count.withLock { $0 } == 2)
            for loop in loops { try loop.close() }
        }
    }

    @Test(.startsProcess) func errorOfALoopFactoryIsThrownByTheCallThatNeedsALoop() async {
        await #expect(processExitsWith: .success) {
            struct Failure: Error {}
            let policy = DefaultEventLoopPolicy(loopFactory: { throw Failure() })
            setEventLoopPolicy(policy)
            defer { setEventLoopPolicy(nil) }
            try await withLoopThread { _ in
                #expect(throws: Failure.self) { try newEventLoop() }
                #expect(throws: Failure.self) { try run {} }
                let runner = Runner()
                #expect(throws: Failure.self) { try runner.getLoop() }
                try runner.close()
                // Nothing was set for the thread.
                #expect(code { _ = try getEventLoop() } == .noCurrentLoop)
            }
        }
    }
}

private final class CountingPolicy: DefaultEventLoopPolicy, @unchecked Sendable {
    override func newEventLoop() throws -> EventLoop { try CountingLoop() }
}
