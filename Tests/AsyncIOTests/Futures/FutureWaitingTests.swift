import AsyncIO
import AsyncIOTesting
import Testing

/// Tasks and runs that wait for a future.
struct FutureWaitingTests {
    private struct Failure: Error {}

    // covers: 63
    @Test(arguments: TestLoop.all)
    func waitingTasksAndCallbacksContinueInTheOrderOfAddition(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let future: Future<Int> = loop.createFuture()
            var order: [String] = []
            future.addDoneCallback { _ in order.append("callback") }
            let tasks = (0..<3).map { number in
                loop.createTask {
                    let value = try await future.value
                    order.append("task \(number): \(value)")
                }
            }
            await loop.yield()
            future.addDoneCallback { _ in order.append("last callback") }
            try future.setResult(7)
            for task in tasks { try await task.value }
            #expect(order == ["callback", "task 0: 7", "task 1: 7", "task 2: 7", "last callback"])
        }
    }

    // covers: 73
    @Test(arguments: TestLoop.all)
    func cancelledTaskEndsItsWaitButNotTheFuture(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let future: Future<Int> = loop.createFuture()
            let tasks = (0..<100).map { _ in loop.createTask { try await future.value } }
            await loop.yield()
            for task in tasks.dropLast() { task.cancel() }
            for task in tasks.dropLast() {
                await #expect(throws: CancellationError.self) { try await task.value }
            }
            #expect(!future.isDone)
            try future.setResult(5)
            let remaining = try await tasks.last?.value
            #expect(remaining == 5)
            // A wait that need not suspend succeeds in a cancelled task too.
            let late = loop.createTask {
                withUnsafeCurrentTask { $0?.cancel() }
                return try await future.value
            }
            let lateValue = try await late.value
            #expect(lateValue == 5)
        }
    }

    // covers: 75
    @Test(arguments: TestLoop.all)
    func cancellationInTheIterationOfTheResultLosesNoResult(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            for isResultFirst in [true, false] {
                let future: Future<Int> = loop.createFuture()
                let task = loop.createTask { try await future.value }
                await loop.yield()
                if isResultFirst {
                    try future.setResult(5)
                    task.cancel()
                    let result = try await task.value
                    #expect(result == 5)
                } else {
                    task.cancel()
                    try future.setResult(5)
                    await #expect(throws: CancellationError.self) { try await task.value }
                    #expect(try future.result() == 5)
                }
            }
        }
    }

    // covers: 32, 34
    @Test(arguments: TestLoop.all)
    func closingTheLoopEndsWaitsForFutures(kind: TestLoop) async throws {
        try await withLoopThread(kind, LoopTestOptions(allowsLeftoverWork: true)) { loop in
            let future: Future<Int> = loop.createFuture()
            nonisolated(unsafe) let shared = future
            var outcome: EventLoopError.Code?
            nonisolated(unsafe) let note: (EventLoopError.Code?) -> Void = { outcome = $0 }
            future.addDoneCallback { _ in Issue.record("called by a closed loop") }
            try loop.runUntilComplete {
                Task(executorPreference: loop) { note(await asyncCode { _ = try await shared.value }) }
                while loop.statistics.waitingTasks == 0 { await loop.yield() }
            }
            try loop.close()
            #expect(outcome == .closed)
            #expect(code { try future.setResult(1) } == .closed)
            #expect(code { try future.setException(Failure()) } == .closed)
            #expect(!future.cancel())
        }
    }

    @Test(arguments: TestLoop.all)
    func taskOfThePoolHopsToWait(kind: TestLoop) async throws {
        try await withLoop(kind, patiently) { loop in
            nonisolated(unsafe) let future: Future<Int> = loop.createFuture()
            let task = Task.detached { try await future.value }
            while loop.statistics.waitingTasks == 0 { await loop.yield() }
            try future.setResult(3)
            let hopped = try await task.value
            #expect(hopped == 3)
            #expect(loop.statistics.hops == 1)
        }
    }

    // covers: 24
    @Test(arguments: TestLoop.all)
    func runUntilCompleteRunsUntilTheFutureIsDone(kind: TestLoop) async throws {
        try await withLoopThread(kind) { loop in
            let future: Future<Int> = loop.createFuture()
            loop.callLater(after: .microseconds(10)) { try future.setResult(42) }
            let first = try loop.runUntilComplete(future)
            #expect(first == 42)
            // The future is done, and the loop still runs one iteration.
            var calls = 0
            loop.callSoon { calls += 1 }
            let again = try loop.runUntilComplete(future)
            #expect(again == 42)
            #expect(calls == 1)
            let failed: Future<Int> = loop.createFuture()
            loop.callSoon { try failed.setException(Failure()) }
            #expect(throws: Failure.self) { try loop.runUntilComplete(failed) }
            let cancelled: Future<Int> = loop.createFuture()
            loop.callSoon { cancelled.cancel() }
            #expect(throws: CancellationError.self) { try loop.runUntilComplete(cancelled) }
        }
    }

    // covers: 24
    @Test(arguments: TestLoop.all)
    func runUntilCompleteRejectsAFutureOfAnotherLoop(kind: TestLoop) async throws {
        try await withLoopThread(kind) { loop in
            let other = try kind.makeLoop()
            let future: Future<Int> = other.createFuture()
            #expect(code { _ = try loop.runUntilComplete(future) } == .invalidArgument)
            #expect(!loop.isRunning)
            try other.close()
        }
    }

    // covers: 24, 25
    @Test(arguments: TestLoop.all)
    func stopBeforeTheFutureIsDoneIsAnErrorAndTheNextRunContinues(kind: TestLoop) async throws {
        try await withLoopThread(kind) { loop in
            let future: Future<Int> = loop.createFuture()
            loop.callSoon { loop.stop() }
            #expect(code { _ = try loop.runUntilComplete(future) } == .stoppedBeforeCompletion)
            // Done in the iteration that is stopped, so there is a result, and a callback that must not stop the next
            // run.
            loop.callSoon {
                try future.setResult(1)
                loop.stop()
            }
            let inTime = try loop.runUntilComplete(future)
            #expect(inTime == 1)
            var ticks = 0
            func tick() {
                ticks += 1
                if ticks == 10 { loop.stop() } else { loop.callSoon(tick) }
            }
            loop.callSoon(tick)
            try loop.runForever()
            #expect(ticks == 10)
        }
    }
}
