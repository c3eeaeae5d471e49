import AsyncIO
import AsyncIOTesting
import Testing

struct FutureTests {
    private struct Failure: Error, Equatable {}

    // covers: 62
    @Test(arguments: TestLoop.all)
    func futureIsPendingUntilItIsCompletedOnce(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let future: Future<Int> = loop.createFuture()
            #expect(!future.isDone)
            #expect(!future.isCancelled)
            #expect(code { _ = try future.result() } == .invalidState)
            #expect(code { _ = try future.exception() } == .invalidState)
            try future.setResult(42)
            #expect(future.isDone)
            #expect(try future.result() == 42)
            #expect(try future.exception() == nil)
            #expect(code { try future.setResult(43) } == .invalidState)
            #expect(code { try future.setException(Failure()) } == .invalidState)
            #expect(!future.cancel())
            #expect(try future.result() == 42)

            let failed = try Future<Int>()
            #expect(failed.loop === loop)
            try failed.setException(Failure())
            #expect(failed.isDone && !failed.isCancelled)
            #expect(throws: Failure.self) { try failed.result() }
            #expect(try failed.exception() as? Failure == Failure())
            #expect(code { try failed.setResult(1) } == .invalidState)
        }
    }

    @Test func futureWithoutALoopNeedsARunningLoop() {
        #expect(code { _ = try Future<Int>() } == .notRunning)
    }

    // covers: 63
    @Test(arguments: TestLoop.all)
    func loopCallsDoneCallbacksInTheOrderOfAddition(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let future: Future<String> = loop.createFuture()
            var calls: [String] = []
            for number in 0..<3 {
                future.addDoneCallback { done in
                    #expect(done === future)
                    calls.append("\(number) \(try done.result())")
                }
            }
            loop.callSoon { calls.append("queued before") }
            try future.setResult("x")
            future.addDoneCallback { _ in calls.append("added when done") }
            loop.callSoon { calls.append("queued after") }
            #expect(calls == [])
            await loop.yield()
            #expect(calls == ["queued before", "0 x", "1 x", "2 x", "added when done", "queued after"])
        }
    }

    @Test(arguments: TestLoop.all)
    func errorOfADoneCallbackIsReportedAndDoesNotAffectOthers(kind: TestLoop) async throws {
        try await withLoop(kind, LoopTestOptions(unhandledErrors: 1)) { loop in
            let future: Future<Void> = loop.createFuture()
            var calls = 0
            future.addDoneCallback { _ in throw Failure() }
            future.addDoneCallback { _ in calls += 1 }
            try future.setResult(())
            await loop.yield()
            #expect(calls == 1)
        }
    }

    // covers: 64
    @Test(arguments: TestLoop.all)
    func doneCallbacksAreRemovedByTheirTokens(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let future: Future<Int> = loop.createFuture()
            var calls: [Int] = []
            let tokens = (0..<6).map { number in future.addDoneCallback { _ in calls.append(number) } }
            #expect(future.removeDoneCallback(tokens[0]))
            #expect(future.removeDoneCallback(tokens[3]))
            #expect(!future.removeDoneCallback(tokens[3]))
            #expect(future.removeDoneCallback(tokens[5]))
            try future.setResult(1)
            // The callbacks are scheduled, so they can no longer be removed.
            #expect(!future.removeDoneCallback(tokens[1]))
            await loop.yield()
            #expect(calls == [1, 2, 4])
        }
    }

    // covers: 64
    @Test(arguments: TestLoop.all)
    func callbackListSurvivesReentrantMutation(kind: TestLoop) async throws {
        /// Removes another callback, and adds one, when its own closure is released.
        final class Meddling {
            var onRelease: () -> Void = {}
            deinit { onRelease() }
        }
        try await withLoop(kind) { loop in
            let future: Future<Int> = loop.createFuture()
            var calls: [String] = []
            let other = future.addDoneCallback { _ in calls.append("removed by the other one's release") }
            let token = {
                let meddling = Meddling()
                meddling.onRelease = {
                    #expect(future.removeDoneCallback(other))
                    future.addDoneCallback { _ in calls.append("added by a release") }
                }
                return future.addDoneCallback { _ in withExtendedLifetime(meddling) {} }
            }()
            future.addDoneCallback { _ in
                calls.append("first")
                future.addDoneCallback { _ in calls.append("added by a callback") }
            }
            #expect(future.removeDoneCallback(token))
            try future.setResult(1)
            await loop.yield()
            await loop.yield()
            #expect(calls == ["first", "added by a release", "added by a callback"])
        }
    }

    // covers: 65
    @Test(arguments: TestLoop.all)
    func cancelledFutureRunsItsCallbacksAndEndsItsWaits(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let future: Future<Int> = loop.createFuture()
            var calls = 0
            future.addDoneCallback { done in
                #expect(done.isCancelled)
                calls += 1
            }
            let task = loop.createTask { try await future.value }
            await loop.yield()
            #expect(future.cancel())
            #expect(!future.cancel())
            #expect(future.isCancelled && future.isDone)
            #expect(calls == 0)
            await #expect(throws: CancellationError.self) { try await task.value }
            #expect(calls == 1)
            #expect(throws: CancellationError.self) { try future.result() }
            #expect(throws: CancellationError.self) { try future.exception() }
            #expect(code { try future.setResult(1) } == .invalidState)
        }
    }

    // covers: 104, 108
    @Test(arguments: TestLoop.all)
    func futureRejectsAnotherThread(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            nonisolated(unsafe) let future: Future<Int> = loop.createFuture()
            let refused = try OtherThread.run {
                [
                    code { try future.setResult(1) }, code { try future.setException(Failure()) },
                    code { _ = try future.result() }, code { _ = try future.exception() },
                ]
            }
            #expect(refused == Array(repeating: .wrongThread, count: 4))
            #expect(!future.isDone)
        }
    }
}
