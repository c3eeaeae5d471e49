import AsyncIOTesting
import Foundation
import Testing

@testable import AsyncIO

/// One iteration runs a bounded number of the callbacks that other threads submit.
struct InboxBacklogTests {
    private static let burst = 10_000
    private static var most: Int { EventLoop.mostSubmissionsPerIteration }

    // covers: F17
    @Test(arguments: TestLoop.all)
    func burstOfSubmissionsRunsInPortionsAndInOrder(kind: TestLoop) async throws {
        try await withVirtualLoopThread(kind, patiently) { loop in
            let log = Log()
            try OtherThread.run { Self.submitBurst(to: loop, log) }
            try loop.runForever()
            #expect(log.order == Array(0..<Self.burst))
            let perIteration = Dictionary(grouping: log.iterations) { $0 }.mapValues(\.count)
            #expect(perIteration.values.max() == Self.most)
            #expect(perIteration.count == (Self.burst + Self.most - 1) / Self.most)
        }
    }

    // covers: F17
    @Test(arguments: TestLoop.all)
    func dueTimerRunsBetweenSubmissions(kind: TestLoop) async throws {
        try await withVirtualTimeLoopThread(kind, patiently) { loop, clock in
            let log = Log()
            var runBefore: Int?
            loop.callLater(after: .milliseconds(1)) { runBefore = log.order.count }
            try OtherThread.run {
                _ = try? loop.callSoonThreadsafe { clock.advance(by: .milliseconds(2)) }
                Self.submitBurst(to: loop, log)
            }
            try loop.runForever()
            #expect(log.order.count == Self.burst)
            // Due during the first iteration, it runs in the second one, behind its portion.
            #expect(runBefore.map { $0 < 2 * Self.most } == true)
        }
    }

    /// Submissions that arrive while a portion runs are queued behind earlier ones.
    // covers: F17
    @Test func submissionsDuringABurstRunInOrder() async throws {
        try await withLoopThread(.auto, patiently) { loop in
            let log = Log()
            let late = OtherThread {
                log.hasBegun.wait()
                Self.submitBurst(to: loop, log, from: Self.burst)
            }
            try OtherThread.run {
                _ = try? loop.callSoonThreadsafe { log.hasBegun.signal() }
                Self.submitBurst(to: loop, log, stops: false)
            }
            try loop.runForever()
            late.join()
            #expect(log.order == Array(0..<2 * Self.burst))
        }
    }

    /// Callbacks of one thread run in order, through the inbox or without it.
    // covers: F17
    @Test func callbackOfTheOwnerRunsAfterAnEarlierBurst() async throws {
        try await withLoopThread { loop in
            let log = Log()
            Self.submitBurst(to: loop, log, stops: false)
            loop.callSoon {
                log.order.append(-1)
                loop.stop()
            }
            try loop.runForever()
            #expect(log.order == Array(0..<Self.burst) + [-1])
        }
    }

    // covers: 105, F33
    @Test(arguments: [true, false])
    func submissionsThatDidNotRunAreReleasedOnce(closes: Bool) async throws {
        let released = Counter()
        try await withLoopThread(.auto) { loop in
            let log = Log()
            try OtherThread.run {
                _ = try? loop.callSoonThreadsafe { loop.stop() }
                for number in 0..<Self.burst {
                    let counted = Counted(released)
                    _ = try? loop.callSoonThreadsafe {
                        counted.touch()
                        log.order.append(number)
                    }
                }
            }
            try loop.runForever()
            #expect(log.order.count < Self.most)
            if !closes {
                // The next run continues where the last one has stopped.
                try OtherThread.run { _ = try? loop.callSoonThreadsafe { loop.stop() } }
                try loop.runForever()
                #expect(log.order == Array(0..<Self.burst))
            }
            try loop.close()
        }
        #expect(released.value == Self.burst)
    }

    private static func submitBurst(to loop: EventLoop, _ log: Log, from first: Int = 0, stops: Bool = true) {
        for number in first..<first + burst {
            _ = try? loop.callSoonThreadsafe {
                log.order.append(number)
                log.iterations.append(loop.statistics.ticks)
            }
        }
        if stops { _ = try? loop.callSoonThreadsafe { loop.stop() } }
    }

    /// `order` and `iterations` belong to the loop's thread.
    private final class Log: @unchecked Sendable {
        var order: [Int] = []
        var iterations: [Int] = []
        let hasBegun = DispatchSemaphore(value: 0)
    }
}
