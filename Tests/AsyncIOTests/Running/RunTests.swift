import AsyncIO
import AsyncIOTesting
import Testing

/// Each in a thread of its own; the test's loop does not run there.
struct RunTests {
    struct Failure: Error {}

    // covers: 23, 37
    @Test func theResultComesBackAndTheLoopIsClosed() async throws {
        try await withLoopThread { _ in
            var used: EventLoop?
            nonisolated(unsafe) let keep: (EventLoop) -> Void = { used = $0 }
            let value = try run {
                keep(try getRunningLoop())
                return 42
            }
            #expect(value == 42)
            #expect(used?.isClosed == true)
            #expect(runningLoop == nil)
            #expect(code { _ = try getEventLoop() } == .noCurrentLoop)
        }
    }

    @Test func theErrorComesBackAndTheLoopIsClosed() async throws {
        try await withLoopThread { _ in
            var used: EventLoop?
            nonisolated(unsafe) let keep: (EventLoop) -> Void = { used = $0 }
            #expect(throws: Failure.self) {
                try run {
                    keep(try getRunningLoop())
                    throw Failure()
                }
            }
            #expect(used?.isClosed == true)
        }
    }

    // covers: 37
    @Test func leftoverTasksAreCancelledAndAwaited() async throws {
        try await withLoopThread { _ in
            var steps: [String] = []
            nonisolated(unsafe) let note: (String) -> Void = { steps.append($0) }
            try run {
                let loop = try getRunningLoop()
                for number in 0..<3 {
                    loop.createTask {
                        do {
                            try await loop.sleep(for: .seconds(3600))
                        } catch {
                            // Its way out may wait too, and begin more.
                            await loop.yield()
                            loop.createTask { note("late \(number)") }
                            note("cancelled \(number)")
                        }
                    }
                }
                await loop.yield()
            }
            #expect(Set(steps) == Set((0..<3).flatMap { ["cancelled \($0)", "late \($0)"] }))
        }
    }

    // covers: 37
    @Test func leftoversAreDrainedAfterAnErrorToo() async throws {
        try await withLoopThread { _ in
            var wasCancelled = false
            nonisolated(unsafe) let note = { wasCancelled = true }
            #expect(throws: Failure.self) {
                try run {
                    let loop = try getRunningLoop()
                    loop.createTask {
                        do { try await loop.sleep(for: .seconds(3600)) } catch { note() }
                    }
                    await loop.yield()
                    throw Failure()
                }
            }
            #expect(wasCancelled)
        }
    }

    // covers: 25
    @Test func aStopFromWithinEndsTheRunAndCancelsTheBody() async throws {
        try await withLoopThread { _ in
            var wasCancelled = false
            nonisolated(unsafe) let note = { wasCancelled = true }
            let error = code {
                try run {
                    let loop = try getRunningLoop()
                    loop.callSoon { loop.stop() }
                    do { try await loop.sleep(for: .seconds(3600)) } catch { note() }
                }
            }
            #expect(error == .stoppedBeforeCompletion)
            #expect(wasCancelled)
        }
    }

    @Test func aLoopOfOnesOwnIsUsedAndClosed() async throws {
        try await withLoopThread { _ in
            let loop = try VirtualLoop()
            let now = try run(loopFactory: { loop }) {
                try await loop.sleep(for: .seconds(3600))
                return loop.now
            }
            #expect(now.nanoseconds == 3_600_000_000_000)
            #expect(loop.isClosed)
        }
    }

    // covers: 38
    @Test func aThreadMayRunManyOneAfterAnother() async throws {
        try await withLoopThread { _ in
            for number in 0..<50 {
                let value = try run {
                    await Task.yield()
                    return number
                }
                #expect(value == number)
            }
        }
    }
}
