import AsyncIOSystem
import AsyncIOTesting
import Testing

@testable import AsyncIO

struct RepeatingTimerTests {
    // covers: 56
    @Test(arguments: TestLoop.all)
    func deadlinesDoNotDriftAndMissedOnesAreSkipped(kind: TestLoop) async throws {
        try await withVirtualTimeLoopThread(kind) { loop, clock in
            var times: [Int64] = []
            loop.callRepeatedly(every: .milliseconds(10)) { timer in
                times.append(loop.now.nanoseconds / 1_000_000)
                // A slow call does not delay later ones, and a call that misses several deadlines is not followed by a
                // burst.
                clock.advance(by: .milliseconds(times.count == 3 ? 25 : 3))
                if times.count == 6 {
                    timer.cancel()
                    loop.stop()
                }
            }
            try loop.runForever()
            #expect(times == [10, 20, 30, 60, 70, 80])
            #expect(loop.statistics.callbacks == 0)
        }
    }

    // covers: 56
    @Test(arguments: TestLoop.all)
    func cancelWithinACallReleasesTheClosure(kind: TestLoop) async throws {
        try await withVirtualLoopThread(kind) { loop in
            weak var captured: Captured?
            var calls = 0
            let timer = {
                let object = Captured()
                captured = object
                return loop.callRepeatedly(every: .milliseconds(1), after: .zero) { timer in
                    calls += object.one
                    #expect(timer.isActive)
                    if calls == 2 { #expect(timer.cancel()) }
                }
            }()
            loop.callLater(after: .milliseconds(100)) { loop.stop() }
            try loop.runForever()
            #expect(calls == 2)
            #expect(!timer.isActive)
            #expect(captured == nil)
            #expect(!timer.cancel())
            timer.restart()
            timer.reschedule(at: loop.now)
            #expect(loop.statistics.callbacks == 0)
        }
    }

    // covers: 56
    @Test(arguments: TestLoop.all)
    func nextCallCanBeRescheduledAndPostponedForever(kind: TestLoop) async throws {
        try await withVirtualLoopThread(kind) { loop in
            var times: [Int64] = []
            let timer = loop.callRepeatedly(every: .milliseconds(10)) { timer in
                times.append(loop.now.nanoseconds / 1_000_000)
                // The later calls follow at the same interval.
                if times.count == 1 { timer.reschedule(at: loop.now.advanced(by: .milliseconds(7))) }
                if times.count == 3 { loop.stop() }
            }
            // A timer that is restarted in time is never called.
            var restarts = 0
            loop.callRepeatedly(every: .milliseconds(9)) { keeper in
                timer.restart()
                #expect(timer.deadline == loop.now.advanced(by: .milliseconds(10)))
                restarts += 1
                if restarts == 5 { keeper.cancel() }
            }
            try loop.runForever()
            #expect(times == [55, 62, 72])
            #expect(timer.deadline == LoopInstant(nanoseconds: 72_000_000).advanced(by: .milliseconds(10)))
            timer.cancel()
        }
    }

    @Test(arguments: TestLoop.all)
    func errorIsReportedAndTheTimerContinues(kind: TestLoop) async throws {
        struct Failure: Error {}
        try await withVirtualLoopThread(kind, LoopTestOptions(unhandledErrors: 3)) { loop in
            var calls = 0
            loop.callRepeatedly(every: .milliseconds(1)) { timer in
                calls += 1
                if calls == 3 {
                    timer.cancel()
                    loop.stop()
                }
                throw Failure()
            }
            try loop.runForever()
            #expect(calls == 3)
        }
    }

    // covers: 57
    @Test(arguments: TestLoop.all)
    func timerAndLoopDoNotRetainEachOther(kind: TestLoop) async throws {
        try await withLoopThread(kind) { _ in
            weak var loop: EventLoop?
            weak var captured: Captured?
            var timer: RepeatingTimer?
            do {
                let made = try kind.makeLoop()
                let object = Captured()
                (loop, captured) = (made, object)
                timer = made.callRepeatedly(every: .seconds(1)) { _ in _ = object.one }
                // Only the loop retains this timer.
                made.callRepeatedly(every: .seconds(1)) { _ in _ = object.one }
            }
            // Released without a close.
            #expect(loop == nil)
            #expect(captured == nil)
            #expect(timer?.isActive == false)
            timer?.cancel()
            timer?.restart()
        }
    }

    // covers: 57, 60
    @Test(arguments: TestLoop.all)
    func closingTheLoopCancelsTheTimer(kind: TestLoop) async throws {
        try await withLoopThread(kind, LoopTestOptions(unhandledErrors: 1, allowsLeftoverWork: true)) { loop in
            weak var captured: Captured?
            let timer = {
                let object = Captured()
                captured = object
                return loop.callRepeatedly(every: .seconds(1)) { _ in _ = object.one }
            }()
            #expect(captured != nil)
            try loop.close()
            #expect(captured == nil)
            #expect(!timer.isActive)
            timer.restart()
            #expect(!loop.callRepeatedly(every: .seconds(1)) { _ in }.isActive)
        }
    }

    // covers: 49
    @Test func nextDeadlineIsAMultipleOfTheIntervalAndNeverOverflows() {
        func next(_ deadline: Int64, _ interval: Duration, _ now: Int64) -> Int64 {
            RepeatingTimer.next(
                after: LoopInstant(nanoseconds: deadline), interval: interval, now: LoopInstant(nanoseconds: now)
            ).nanoseconds
        }
        #expect(next(10, .nanoseconds(10), 10) == 20)
        #expect(next(10, .nanoseconds(10), 19) == 20)
        // A deadline that is due at this moment has not passed.
        #expect(next(10, .nanoseconds(10), 20) == 20)
        #expect(next(10, .nanoseconds(10), 21) == 30)
        #expect(next(10, .zero, 1_000) == 1_000)
        #expect(next(10, .seconds(-1), 1_000) == 1_000)
        #expect(next(10, .seconds(Int64.max), 1_000) == .max)
        #expect(next(.max - 5, .nanoseconds(10), .max) == .max)
    }
}

private final class Captured {
    let one = 1
}
