import AsyncIO
import AsyncIOSystem
import AsyncIOTesting
import Testing

struct EventLoopCallbacksTests {
    // covers: 45
    @Test func cancellingFreesTheClosureAtOnce() async throws {
        try await withLoopThread { loop in
            weak var captured: Captured?
            let handle = {
                let object = Captured()
                captured = object
                return loop.callSoon { object.fail() }
            }()
            #expect(captured != nil)
            #expect(handle.isPending)
            handle.cancel()
            #expect(captured == nil)
            #expect(!handle.isPending)
            handle.cancel()

            let timer = {
                let object = Captured()
                captured = object
                return loop.callLater(after: .seconds(3600)) { object.fail() }
            }()
            #expect(captured != nil)
            #expect(timer.isPending)
            timer.cancel()
            #expect(captured == nil)
            #expect(!timer.isPending)
            timer.cancel()
            loop.stop()
            try loop.runForever()
        }
    }

    // covers: 44, 45
    @Test func aCallbackIsReleasedAfterItRan() async throws {
        try await withLoopThread { loop in
            weak var captured: Captured?
            let handle = {
                let object = Captured()
                captured = object
                return loop.callSoon { object.calls += 1 }
            }()
            loop.callSoon {
                #expect(captured == nil)
                #expect(!handle.isPending)
                handle.cancel()
                loop.stop()
            }
            try loop.runForever()
        }
    }

    // covers: 46, 48, 54, 58
    @Test func tenThousandTimersFireInOrderAndNeverEarly() async throws {
        try await withLoopThread(.auto, patiently) { loop in
            var generator = SeededGenerator(seed: 7)
            let start = loop.now
            var fired: [(deadline: LoopInstant, number: Int)] = []
            var early = 0
            for number in 0..<10_000 {
                let delay = Duration.microseconds(Int.random(in: -100..<20_000, using: &generator) / 10 * 10)
                let deadline = start.advanced(by: delay)
                loop.callAt(deadline) {
                    if loop.now < deadline { early += 1 }
                    fired.append((deadline, number))
                    if fired.count == 10_000 { loop.stop() }
                }
            }
            try loop.runForever()
            #expect(early == 0)
            #expect(Set(fired.map(\.number)).count == 10_000)
            // Within one tick of the loop, that is always: what was due first ran first, equal ones as they were made.
            #expect(zip(fired, fired.dropFirst()).allSatisfy { ($0.deadline, $0.number) < ($1.deadline, $1.number) })
        }
    }

    // covers: 46, 50
    @Test func shortTimersNeitherFireEarlyNorMakeTheLoopSpin() async throws {
        try await withLoopThread(makeLoop: CountingLoop.init) { loop in
            for delay in [
                Duration.nanoseconds(1), .microseconds(1), .microseconds(100), .milliseconds(1), .milliseconds(3),
            ] {
                let (before, start) = (loop.counter.waits, loop.now)
                loop.callLater(after: delay) {
                    #expect(start.duration(to: loop.now) >= delay)
                    loop.stop()
                }
                try loop.runForever()
                #expect(loop.counter.waits - before <= 3)
            }
        }
    }

    // covers: 47
    @Test func delaysOfZeroAndLessMeanTheNextTick() async throws {
        try await withLoopThread(makeLoop: VirtualLoop.init) { loop in
            var calls: [String] = []
            loop.callSoon {
                for delay in [Duration.zero, .seconds(-1), .seconds(Int64.min)] {
                    loop.callLater(after: delay) { calls.append("timer in tick \(loop.virtualSelector.waits)") }
                }
                loop.callSoon { loop.callSoon { loop.stop() } }
            }
            try loop.runForever()
            #expect(calls == Array(repeating: "timer in tick 2", count: 3))
            #expect(loop.now.nanoseconds == 0)
        }
    }

    // covers: 49
    @Test func farDeadlinesNeitherOverflowNorFire() async throws {
        try await withLoopThread { loop in
            let delays = [
                Duration.seconds(Int64.max), .seconds(400 * 365 * 86_400), .nanoseconds(Int64.max),
                .seconds(86_400 * 2),
            ]
            let timers = delays.map { loop.callLater(after: $0) { Issue.record("fired") } }
            let last = loop.callAt(.distantFuture) { Issue.record("fired") }
            #expect(last.deadline == .distantFuture)
            loop.callLater(after: .milliseconds(1)) { loop.stop() }
            try loop.runForever()
            for timer in timers + [last] { timer.cancel() }
        }
    }

    // covers: 51
    @Test func manyCancelledTimersShrinkTheHeap() async throws {
        try await withLoopThread(.auto, patiently) { loop in
            let timers = (0..<10_000).map { loop.callLater(after: .seconds(3_600 + $0)) {} }
            #expect(loop.statistics.timers == 10_000)
            for timer in timers.dropFirst(10) { timer.cancel() }
            #expect(loop.statistics.timers <= 110)
            #expect(loop.statistics.callbacks == 10)
            for timer in timers { timer.cancel() }
            #expect(loop.statistics.callbacks == 0)
        }
    }

    // covers: 52
    @Test func aTimerCancelledByAnotherOfItsTickDoesNotFire() async throws {
        try await withLoopThread(makeLoop: VirtualLoop.init) { loop in
            var second: TimerHandle?
            loop.callLater(after: .milliseconds(1)) { second?.cancel() }
            second = loop.callLater(after: .milliseconds(1)) { Issue.record("fired") }
            loop.callLater(after: .milliseconds(1)) { loop.stop() }
            try loop.runForever()
            #expect(second?.isPending == false)
        }
    }

    // covers: 55
    @Test func aTimerKeepsItsDeadline() async throws {
        try await withLoopThread(makeLoop: VirtualLoop.init) { loop in
            let timer = loop.callLater(after: .milliseconds(5)) { loop.stop() }
            let due = LoopInstant(nanoseconds: 5_000_000)
            #expect(timer.deadline == due)
            try loop.runForever()
            #expect(timer.deadline == due)
            #expect(loop.now == due)
            let cancelled = loop.callAt(due) {}
            cancelled.cancel()
            #expect(cancelled.deadline == due)
        }
    }

    // covers: 56
    @Test func aRepeatingTimerKeepsItsRhythmAndMayEndItself() async throws {
        try await withLoopThread(makeLoop: VirtualLoop.init) { loop in
            var times: [Int64] = []
            func tick(_ deadline: LoopInstant) {
                loop.callAt(deadline) {
                    times.append(loop.now.nanoseconds / 1_000_000)
                    // A slow callback does not shift the ones after it.
                    loop.virtualClock.advance(by: .milliseconds(3))
                    if times.count == 5 { return loop.stop() }
                    tick(deadline.advanced(by: .milliseconds(10)))
                }
            }
            tick(LoopInstant(nanoseconds: 10_000_000))
            try loop.runForever()
            #expect(times == [10, 20, 30, 40, 50])
        }
    }

    // covers: 61
    @Test func aLoopWithNothingToDoSleepsThrough() async throws {
        try await withLoopThread(makeLoop: CountingLoop.init) { loop in
            let before = loop.counter.waits
            loop.callLater(after: .milliseconds(50)) { loop.stop() }
            try loop.runForever()
            #expect(loop.counter.waits - before <= 2)
        }
    }

    // covers: 43
    @Test func aCallbackThatReschedulesItselfStarvesNobody() async throws {
        try await withLoopThread { loop in
            func again() { loop.callSoon(again) }
            again()
            let thread = OtherThread {
                _ = try? loop.callSoonThreadsafe { loop.callLater(after: .milliseconds(1)) { loop.stop() } }
            }
            try loop.runForever()
            thread.join()
            try loop.close()
        }
    }

    // covers: F20
    @Test func anErrorOfACallbackIsReportedWithItsPlaceAndTheLoopGoesOn() async throws {
        struct Failure: Error {}
        try await withLoopThread(.auto, LoopTestOptions(unhandledErrors: 3)) { loop in
            var reports: [ExceptionContext] = []
            var calls = 0
            loop.setExceptionHandler { _, context in reports.append(context) }
            let line: UInt = #line + 1
            loop.callSoon { throw Failure() }
            loop.callLater(after: .zero) { throw Failure() }
            try loop.callSoonThreadsafe { throw Failure() }
            loop.callLater(after: .microseconds(1)) {
                calls += 1
                loop.stop()
            }
            try loop.runForever()
            #expect(calls == 1)
            #expect(reports.count == 3)
            #expect(reports.allSatisfy { $0.error is Failure })
            #expect(Set(reports.compactMap { $0.callSite?.line }) == [line, line + 1, line + 2])
            #expect(reports.first?.description.hasPrefix("Exception in callback: Failure()") == true)
        }
    }

    // covers: F20
    @Test func anErrorOfTheExceptionHandlerGoesToTheDefaultOne() async throws {
        struct Failure: Error {}
        try await withLoopThread(.auto, LoopTestOptions(unhandledErrors: 2)) { loop in
            var calls = 0
            loop.setExceptionHandler { _, _ in
                calls += 1
                throw Failure()
            }
            loop.callSoon { throw Failure() }
            loop.callSoon {
                // Without a handler, the default one writes.
                loop.setExceptionHandler(nil)
                throw Failure()
            }
            loop.callSoon { loop.stop() }
            try loop.runForever()
            #expect(calls == 1)
        }
    }
}

private final class Captured {
    var calls = 0

    func fail() { Issue.record("a cancelled callback was called") }
}
