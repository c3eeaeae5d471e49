import AsyncIO
import AsyncIOTesting
import Foundation
import Testing

struct ThreadsafeInboxTests {
    /// The thread that created a loop owns it until the first run, which may begin on another thread at any moment.
    @Test(arguments: TestLoop.all)
    func creatorMayPostWhileAnotherThreadBeginsTheFirstRun(kind: TestLoop) async throws {
        try await withLoopThread(kind, patiently) { _ in
            for _ in 0..<rounds(debug: 100, full: 500) {
                let loop = try kind.makeLoop()
                let calls = Counter()
                let runner = OtherThread {
                    try? loop.runForever()
                    try? loop.close()
                }
                for _ in 0..<1_000 { try loop.callSoonThreadsafe { calls.increment() } }
                try loop.callSoonThreadsafe { loop.stop() }
                runner.join()
                #expect(calls.value == 1_000)
            }
        }
    }

    // covers: 101, 102, 109
    @Test(arguments: TestLoop.all)
    func postsOfEightThreadsArriveOnceAndInOrder(kind: TestLoop) async throws {
        let posts = rounds(debug: 40_000, full: 400_000)
        try await withLoopThread(kind, LoopTestOptions(timeLimit: .seconds(120))) { loop in
            let tallies = (0..<8).map { _ in Tally() }
            let disorder = Disorder()
            let finished = Counter()
            let threads = tallies.map { tally in
                OtherThread {
                    for number in 0..<posts {
                        do {
                            try loop.callSoonThreadsafe {
                                if tally.received != number { disorder.count += 1 }
                                tally.received = number + 1
                                if number % 1_000 == 999 { tally.hasCaughtUp.signal() }
                            }
                        } catch {
                            disorder.refused.increment()
                        }
                        // Sometimes the loop has nothing to do and falls asleep.
                        if number % 1_000 == 999 { tally.hasCaughtUp.wait() }
                    }
                    finished.increment()
                    _ = try? loop.callSoonThreadsafe { if finished.value == tallies.count { loop.stop() } }
                }
            }
            try loop.runForever()
            for thread in threads { thread.join() }
            #expect(tallies.map(\.received) == Array(repeating: posts, count: 8))
            #expect(disorder.count == 0)
            #expect(disorder.refused.value == 0)
        }
    }

    // covers: 100, 106
    @Test(arguments: TestLoop.all)
    func postWakesALoopThatSleepsWithoutATimeout(kind: TestLoop) async throws {
        try await withLoopThread(kind) { loop in
            let thread = OtherThread {
                _ = try? loop.callSoonThreadsafe { loop.stop() }
            }
            try loop.runForever()
            thread.join()
        }
    }

    // covers: 110
    @Test(arguments: TestLoop.systemAndWrapped)
    func postsDuringOneSleepRunInOneIteration(kind: TestLoop) async throws {
        try await withVirtualTimeLoopThread(kind) { loop, clock in
            var ticks: Set<Int> = []
            var order: [Int] = []
            nonisolated(unsafe) let note: (Int) -> Void = { number in
                ticks.insert(loop.statistics.ticks)
                order.append(number)
                if number == 99 { loop.stop() }
            }
            var hasPosted = false
            clock.waits.fellAsleep = {
                if hasPosted { return false }
                hasPosted = true
                #expect(throws: Never.self) {
                    try OtherThread.run {
                        for number in 0..<100 { try loop.callSoonThreadsafe { note(number) } }
                    }
                }
                return true
            }
            try loop.runForever()
            #expect(order == Array(0..<100))
            #expect(ticks == [1])
            clock.waits.fellAsleep = { false }
        }
    }

    // covers: 44, 45
    @Test func postedCallbackIsReleasedAtOnceWhenItIsCancelled() async throws {
        try await withLoopThread { loop in
            weak var captured: Captured?
            var calls = 0
            let handle: ThreadsafeHandle = try {
                let object = Captured()
                captured = object
                nonisolated(unsafe) let count = { calls += 1 }
                nonisolated(unsafe) let kept = object
                return try loop.callSoonThreadsafe {
                    withExtendedLifetime(kept) { count() }
                }
            }()
            #expect(captured != nil)
            #expect(try OtherThread.run { handle.cancel() })
            #expect(captured == nil)
            #expect(!handle.cancel())
            loop.stop()
            try loop.runForever()
            #expect(calls == 0)
        }
    }

    // covers: 105, F33
    @Test func postsDuringCloseAreTakenOrRefused() async throws {
        for _ in 0..<rounds(debug: 50, full: 300) {
            let (made, released, strange) = (Counter(), Counter(), Counter())
            try await withLoopThread(.auto, patiently) { loop in
                let started = Counter()
                let threads = (0..<4).map { _ in
                    OtherThread {
                        started.increment()
                        while true {
                            let counted = Counted(released)
                            made.increment()
                            do {
                                try loop.callSoonThreadsafe { counted.touch() }
                            } catch {
                                if (error as? EventLoopError)?.code != .closed { strange.increment() }
                                return
                            }
                        }
                    }
                }
                while started.value < 4 { sched_yield() }
                loop.stop()
                try loop.runForever()
                try loop.close()
                for thread in threads { thread.join() }
            }
            // Each closure was released, after it was called, dropped or refused.
            #expect(released.value == made.value)
            #expect(strange.value == 0)
        }
    }
}

/// The posts of one thread. `received` is used on the loop's thread only.
private final class Tally: @unchecked Sendable {
    var received = 0
    let hasCaughtUp = DispatchSemaphore(value: 0)
}

/// `count` belongs to the loop's thread.
private final class Disorder: @unchecked Sendable {
    var count = 0
    let refused = Counter()
}

private final class Captured {}
