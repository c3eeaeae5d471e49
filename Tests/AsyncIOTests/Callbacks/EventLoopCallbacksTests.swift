import AsyncIOSystem
import AsyncIOTesting
import SystemPackage
import Testing

@testable import AsyncIO

struct EventLoopCallbacksTests {
    // covers: 60
    @Test(arguments: TestLoop.all)
    func releasedLoopReleasesItsSubmissions(kind: TestLoop) throws {
        weak var captured: Captured?
        func sendAndDrop() throws {
            let loop = try kind.makeLoop()
            nonisolated(unsafe) let object = Captured()
            captured = object
            try loop.callSoonThreadsafe { object.fail() }
        }
        try sendAndDrop()
        #expect(captured == nil)
    }

    // covers: 45
    @Test(arguments: TestLoop.all)
    func cancelReleasesTheClosureAtOnce(kind: TestLoop) async throws {
        try await withLoopThread(kind) { loop in
            weak var captured: Captured?
            let handle = {
                let object = Captured()
                captured = object
                return loop.callSoon { object.fail() }
            }()
            #expect(captured != nil)
            #expect(handle.isPending)
            #expect(handle.cancel())
            #expect(captured == nil)
            #expect(!handle.isPending)
            #expect(!handle.cancel())

            let timer = {
                let object = Captured()
                captured = object
                return loop.callLater(after: .seconds(3600)) { object.fail() }
            }()
            #expect(captured != nil)
            #expect(timer.isPending)
            #expect(timer.cancel())
            #expect(captured == nil)
            #expect(!timer.isPending)
            #expect(!timer.cancel())
            loop.stop()
            try loop.runForever()
        }
    }

    @Test(arguments: TestLoop.all)
    func cancelReturnsWhetherItPreventedTheCallback(kind: TestLoop) async throws {
        try await withLoopThread(kind) { loop in
            var calls: [String] = []
            var handle: Handle?
            var timer: TimerHandle?
            handle = loop.callSoon {
                calls.append("handle")
                // The callback is running.
                #expect(handle?.cancel() == false)
            }
            timer = loop.callLater(after: .zero) {
                calls.append("timer")
                #expect(timer?.cancel() == false)
                loop.stop()
            }
            try loop.runForever()
            #expect(handle?.cancel() == false)
            #expect(timer?.cancel() == false)

            // Cancelled by an earlier callback of the same iteration.
            loop.callSoon {
                #expect(handle?.cancel() == true)
                loop.stop()
            }
            handle = loop.callSoon { calls.append("never") }
            try loop.runForever()
            #expect(calls == ["handle", "timer"])
        }
    }

    // covers: 44
    @Test(arguments: TestLoop.all)
    func callbackIsReleasedAfterItHasRun(kind: TestLoop) async throws {
        try await withLoopThread(kind) { loop in
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
    @Test(arguments: TestLoop.all)
    func tenThousandTimersFireInOrderAndNeverEarly(kind: TestLoop) async throws {
        try await withLoopThread(kind, patiently) { loop in
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
            // Always true within one iteration: timers run in the order of their deadlines, and of their creation if
            // these are equal.
            #expect(zip(fired, fired.dropFirst()).allSatisfy { ($0.deadline, $0.number) < ($1.deadline, $1.number) })
        }
    }

    // covers: 46, 50, F37
    @Test(arguments: TestLoop.all)
    func shortTimersNeitherFireEarlyNorMakeTheLoopSpin(kind: TestLoop) async throws {
        try await withLoopThread(kind) { loop in try expectShortTimersOnTime(on: loop) }
    }

    // covers: 47
    @Test(arguments: TestLoop.all)
    func delaysOfZeroAndLessMeanTheNextIteration(kind: TestLoop) async throws {
        try await withVirtualLoopThread(kind) { loop in
            var calls: [String] = []
            loop.callSoon {
                for delay in [Duration.zero, .seconds(-1), .seconds(Int64.min)] {
                    loop.callLater(after: delay) { calls.append("timer in tick \(loop.statistics.ticks)") }
                }
                loop.callSoon { loop.callSoon { loop.stop() } }
            }
            try loop.runForever()
            #expect(calls == Array(repeating: "timer in tick 2", count: 3))
            #expect(loop.now.nanoseconds == 0)
        }
    }

    // covers: 47
    @Test(arguments: TestLoop.all)
    func negativeDelayRunsBeforeAnEarlierDelayOfZero(kind: TestLoop) async throws {
        try await withVirtualLoopThread(kind) { loop in
            var calls: [Int] = []
            for delay in [0, -1, -3, -2] { loop.callLater(after: .seconds(delay)) { calls.append(delay) } }
            loop.stop()
            try loop.runForever()
            #expect(calls == [-3, -2, -1, 0])
        }
    }

    // covers: 49, F39
    @Test(arguments: TestLoop.all)
    func farDeadlinesNeitherOverflowNorFire(kind: TestLoop) async throws {
        try await withLoopThread(kind) { loop in
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
    @Test(arguments: TestLoop.all)
    func manyCancelledTimersShrinkTheHeap(kind: TestLoop) async throws {
        try await withLoopThread(kind, patiently) { loop in
            let timers = (0..<10_000).map { loop.callLater(after: .seconds(3_600 + $0)) {} }
            #expect(loop.statistics.timers == 10_000)
            for timer in timers.dropFirst(10) { timer.cancel() }
            #expect(loop.statistics.timers <= 110)
            #expect(loop.statistics.callbacks == 10)
            for timer in timers { timer.cancel() }
            #expect(loop.statistics.callbacks == 0)
        }
    }

    // covers: 51
    @Test(arguments: TestLoop.all)
    func cancelledTimersLeaveNoEntriesBesideALastingTimer(kind: TestLoop) async throws {
        try await withLoopThread(kind, patiently) { loop in
            let staying = loop.callLater(after: .seconds(86_400)) {}
            var most = 0
            for round in 0..<rounds(debug: 100_000, full: 1_000_000) {
                loop.callLater(after: .seconds(round % 3_600 + 1)) {}.cancel()
                most = max(most, loop.statistics.timers)
            }
            // Below the size at which the heap is rebuilt.
            #expect(most <= 102)
            #expect(loop.statistics.callbacks == 1)
            staying.cancel()
        }
    }

    // covers: 51, F38
    @Test(arguments: TestLoop.all)
    func timersCancelledTogetherLeaveAtMostTwiceTheRemainingEntries(kind: TestLoop) async throws {
        try await withLoopThread(kind, patiently) { loop in
            let timers = (0..<rounds(debug: 100_000, full: 1_000_000)).map {
                loop.callLater(after: .seconds(3_600 + $0 % 1_000)) {}
            }
            for timer in timers.dropFirst(500) { timer.cancel() }
            #expect(loop.statistics.timers <= 1_000)
            #expect(loop.statistics.callbacks == 500)
            for timer in timers { timer.cancel() }
        }
    }

    // covers: 52
    @Test(arguments: TestLoop.all)
    func timerCancelledByAnotherInItsIterationDoesNotFire(kind: TestLoop) async throws {
        try await withVirtualLoopThread(kind) { loop in
            var second: TimerHandle?
            loop.callLater(after: .milliseconds(1)) { second?.cancel() }
            second = loop.callLater(after: .milliseconds(1)) { Issue.record("fired") }
            loop.callLater(after: .milliseconds(1)) { loop.stop() }
            try loop.runForever()
            #expect(second?.isPending == false)
        }
    }

    // covers: 51, 52
    @Test(arguments: TestLoop.all)
    func cancelledDueTimerIsNoStaleEntryOfTheHeap(kind: TestLoop) async throws {
        try await withVirtualLoopThread(kind) { loop in
            let due = LoopInstant(nanoseconds: 1_000_000)
            func hasStaleEntries() -> Bool { loop.core.pointee.timers.hasStaleEntries }
            var second: TimerHandle?
            loop.callAt(due) {
                // Both timers were queued, so neither is in the heap.
                #expect(loop.core.pointee.timers.count == 2)
                second?.cancel()
                #expect(!hasStaleEntries())
            }
            second = loop.callAt(due) { Issue.record("fired") }
            // A cancelled timer in the heap counts until the next iteration removes it.
            let later = loop.callLater(after: .milliseconds(2)) { Issue.record("fired") }
            let last = loop.callLater(after: .milliseconds(3)) { Issue.record("fired") }
            loop.callAt(due) {
                later.cancel()
                #expect(hasStaleEntries())
                // The last entry of the heap is removed at once.
                last.cancel()
                #expect(loop.core.pointee.timers.count == 1)
                loop.callSoon {
                    #expect(loop.core.pointee.timers.count == 0)
                    #expect(!hasStaleEntries())
                    loop.stop()
                }
            }
            try loop.runForever()
        }
    }

    // covers: 55
    @Test(arguments: TestLoop.all)
    func timerHandleHasItsDeadline(kind: TestLoop) async throws {
        try await withVirtualLoopThread(kind) { loop in
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

    // covers: 61
    @Test(arguments: TestLoop.all)
    func idleLoopWaitsWithoutWakingUp(kind: TestLoop) async throws {
        try await withLoopThread(kind) { loop in
            let before = loop.statistics.ticks
            loop.callLater(after: .milliseconds(50)) { loop.stop() }
            try loop.runForever()
            #expect(loop.statistics.ticks - before <= 2)
        }
    }

    // covers: 61
    @Test(arguments: TestLoop.all)
    func pausedConnectionWithUnreadInputDoesNotMakeTheLoopSpin(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let arrivals = Arrivals()
            let server = try await loop.createServer(host: "127.0.0.1", port: 0) { arrivals }
            let (_, writer) = try await loop.openConnection(host: "127.0.0.1", port: server.port)
            await loop.until { arrivals.transport != nil }
            // Longer than the iteration in which its reading begins.
            for _ in 0..<3 { await loop.yield() }
            arrivals.transport?.pauseReading()
            try await writer.write("unread")
            // Long enough for the bytes to arrive.
            let before = loop.statistics.ticks
            try await loop.sleep(for: .milliseconds(50))
            #expect(loop.statistics.ticks - before <= 4)
            #expect(arrivals.count == 0)
            arrivals.transport?.resumeReading()
            await loop.until { arrivals.count == 6 }
            writer.close()
            server.close()
            try await server.waitClosed()
        }
    }

    // covers: 43, F18
    @Test(arguments: TestLoop.all)
    func reschedulingCallbacksAndSubmittingThreadsStarveNothing(kind: TestLoop) async throws {
        try await withLoopThread(kind, patiently) { loop in
            let pipe = try FileDescriptor.pipe()
            var turns = (callback: 0, reader: 0, timer: 0)
            nonisolated(unsafe) var posts = 0
            func again() {
                turns.callback += 1
                loop.callSoon(again)
            }
            again()
            func timer() {
                turns.timer += 1
                loop.callLater(after: .microseconds(10), timer)
            }
            timer()
            try loop.addReader(pipe.readEnd) {
                // Not read, so it is readable in every iteration.
                turns.reader += 1
                if turns.reader >= 100, turns.timer >= 10, posts >= 100 { loop.stop() }
            }
            _ = try pipe.writeEnd.writeAll([1])
            let thread = OtherThread {
                while (try? loop.callSoonThreadsafe { posts += 1 }) != nil {}
            }
            try loop.runForever()
            loop.removeReader(pipe.readEnd)
            try loop.close()
            thread.join()
            try pipe.readEnd.close()
            try pipe.writeEnd.close()
            #expect(turns.callback >= 100)
        }
    }
}

/// Sets timers of fractions of a millisecond, and longer ones. None is early, and each costs only a few waits.
func expectShortTimersOnTime(on loop: EventLoop) throws {
    for delay in [
        Duration.zero, .nanoseconds(1), .microseconds(1), .microseconds(100), .microseconds(500),
        .milliseconds(1), .microseconds(1_500), .microseconds(2_500), .milliseconds(3),
    ] {
        let (before, start) = (loop.statistics.ticks, loop.now)
        loop.callLater(after: delay) {
            #expect(start.duration(to: loop.now) >= delay)
            loop.stop()
        }
        try loop.runForever()
        #expect(loop.statistics.ticks - before <= 3)
    }
}

/// Counts the received bytes.
private final class Arrivals: StreamProtocol {
    private(set) var transport: StreamTransport?
    private(set) var count = 0

    func connectionMade(_ transport: StreamTransport) { self.transport = transport }
    func dataReceived(_ data: RawSpan) { count += data.byteCount }
    func connectionLost(_ error: (any Error)?) { transport = nil }
}

private final class Captured {
    var calls = 0

    func fail() { Issue.record("a cancelled callback was called") }
}
