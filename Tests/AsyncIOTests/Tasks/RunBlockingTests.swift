import AsyncIO
import AsyncIOTesting
import Testing

/// A thread without a loop waits for a task of a loop.
struct RunBlockingTests {
    private struct Failure: Error {}

    // covers: 107
    @Test(arguments: TestLoop.all)
    func runBlockingReturnsTheValueOrThrowsTheError(kind: TestLoop) async throws {
        try await withRunningLoop(kind) { loop in
            let home = try loop.runBlocking {
                try await loop.sleep(for: .microseconds(10))
                return currentThread()
            }
            #expect(home != currentThread())
            #expect(throws: Failure.self) { try loop.runBlocking { throw Failure() } }
            #expect(code { try loop.runBlocking(within: .seconds(60)) { throw EventLoopError(.busy, "") } } == .busy)
            let inTime = try loop.runBlocking(within: .seconds(60)) { 5 }
            #expect(inTime == 5)
        }
    }

    // covers: 107
    @Test(arguments: TestLoop.all)
    func timeLimitOfRunBlockingCancelsTheBody(kind: TestLoop) async throws {
        try await withRunningLoop(kind) { loop in
            let (ended, isEnded) = AsyncStream.makeStream(of: Bool.self)
            let limits: [Duration] = [.milliseconds(1), .zero, .seconds(-1)]
            for limit in limits {
                let error = code {
                    try loop.runBlocking(within: limit) {
                        do { try await loop.sleep(for: .seconds(3600)) } catch {
                            isEnded.yield(error is CancellationError)
                            throw error
                        }
                    }
                }
                #expect(error == .timedOut)
            }
            // All tasks have begun before this one, and are cancelled.
            let all = try loop.runBlocking {
                while loop.statistics.tasks > 2 { await loop.yield() }
                isEnded.finish()
                return await ended.reduce(into: [Bool]()) { $0.append($1) }
            }
            #expect(all == [true, true, true])
        }
    }

    // covers: 107
    @Test(arguments: TestLoop.all)
    func runBlockingThrowsACancellationOnTheLoop(kind: TestLoop) async throws {
        try await withLoopThread(kind) { loop in
            nonisolated(unsafe) var wasCancelled = false
            let thread = OtherThread {
                do { try loop.runBlocking { try await loop.sleep(for: .seconds(3600)) } } catch {
                    wasCancelled = error is CancellationError
                }
            }
            func run(while condition: () -> Bool) throws {
                while condition() {
                    loop.stop()
                    try loop.runForever()
                }
            }
            try run { loop.statistics.waitingTasks == 0 }
            loop.cancelAllTasks()
            try run { loop.statistics.tasks > 0 }
            thread.join()
            #expect(wasCancelled)
        }
    }

    // covers: 111
    @Test(arguments: TestLoop.all)
    func runBlockingRejectsTheLoopsOwnThread(kind: TestLoop) async throws {
        try await withLoopThread(kind) { loop in
            var refused: [EventLoopError.Code?] = []
            let other = try kind.makeLoop()
            loop.callSoon {
                refused.append(code { try loop.runBlocking {} })
                refused.append(code { try other.runBlocking {} })
            }
            nonisolated(unsafe) let note: (EventLoopError.Code?) -> Void = { refused.append($0) }
            try loop.runUntilComplete { note(Self.refusal(of: loop)) }
            #expect(refused == [.wrongThread, .anotherLoopRunning, .wrongThread])
            #expect(loop.statistics.tasks == 0)
            try other.close()
            #expect(code { try other.runBlocking {} } == .closed)
        }
    }

    // covers: 111
    @Test(arguments: TestLoop.all)
    func runBlockingRejectsACallInATask(kind: TestLoop) async throws {
        try await withLoop(kind, patiently) { loop in
            #expect(await Task.detached { Self.refusal(of: loop) }.value == .calledFromTask)
        }
    }

    private static func refusal(of loop: EventLoop) -> EventLoopError.Code? {
        code { try loop.runBlocking {} }
    }

    // covers: 105, 107
    @Test(arguments: TestLoop.all)
    func runBlockingThrowsClosedIfTheLoopIsClosedFirst(kind: TestLoop) async throws {
        try await withLoopThread(kind, LoopTestOptions(allowsLeftoverWork: true)) { loop in
            for _ in 0..<50 {
                let loop = try kind.makeLoop()
                nonisolated(unsafe) var outcome: EventLoopError.Code?
                let thread = OtherThread { outcome = code { try loop.runBlocking {} } }
                // This may come before or after the call.
                try loop.close()
                thread.join()
                #expect(outcome == .closed)
            }
        }
    }

    /// Runs a loop on one thread, and `body` on another one.
    private func withRunningLoop(
        _ kind: TestLoop, _ body: @escaping @Sendable (EventLoop) throws -> Void
    ) async throws {
        try await withLoop(kind) { loop in
            let future: Future<Void> = loop.createFuture()
            let promise = future.makePromise()
            let thread = OtherThread {
                do {
                    try body(loop)
                    try promise.setResult(())
                } catch {
                    try? promise.setException(error)
                }
            }
            defer { thread.join() }
            try await future.value
        }
    }
}
