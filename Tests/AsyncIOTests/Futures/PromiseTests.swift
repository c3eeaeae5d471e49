import AsyncIO
import AsyncIOTesting
import Foundation
import Synchronization
import Testing

/// Futures that other threads complete, and futures of Swift tasks.
struct PromiseTests {
    private struct Failure: Error {}

    // covers: 68
    @Test(arguments: TestLoop.all)
    func anotherThreadCompletesTheFuture(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let futures = (0..<3).map { _ in loop.createFuture(of: Int.self) }
            let (value, error, cancelled) = (futures[0], futures[1], futures[2])
            let promises = (value.makePromise(), error.makePromise(), cancelled.makePromise())
            let thread = OtherThread {
                #expect(throws: Never.self) {
                    try promises.0.setResult(7)
                    try promises.1.setException(Failure())
                }
                #expect(promises.2.cancel())
                #expect(code { try promises.0.setResult(8) } == .invalidState)
                #expect(!promises.0.cancel())
            }
            let given = try await value.value
            #expect(given == 7)
            await #expect(throws: Failure.self) { try await error.value }
            await #expect(throws: CancellationError.self) { try await cancelled.value }
            thread.join()
            #expect(promises.2.isCancelled)
            #expect(!promises.0.isCancelled)
        }
    }

    @Test(arguments: TestLoop.all)
    func outcomeThatIsSetOnTheLoopsThreadIsQueuedToo(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let future: Future<Int> = loop.createFuture()
            try future.makePromise().setResult(1)
            #expect(!future.isDone)
            await loop.yield()
            #expect(try future.result() == 1)
            // Too late: the future keeps its result.
            let late: Future<Int> = loop.createFuture()
            let promise = late.makePromise()
            try promise.setResult(1)
            try late.setResult(2)
            await loop.yield()
            #expect(try late.result() == 2)
        }
    }

    // covers: 68
    @Test(arguments: TestLoop.all)
    func cancellingTheFutureReachesItsPromise(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let future: Future<Int> = loop.createFuture()
            let told = Told()
            let promise = future.makePromise(onCancel: { told.count.add(1, ordering: .relaxed) })
            #expect(!promise.isCancelled)
            let thread = OtherThread {
                while !promise.isCancelled { sched_yield() }
                // The result is no longer needed.
                #expect(throws: Never.self) { try promise.setResult(1) }
            }
            future.cancel()
            #expect(told.count.load(ordering: .relaxed) == 1)
            thread.join()
            await loop.yield()
            #expect(future.isCancelled)
            #expect(future.makePromise().isCancelled)
        }
    }

    // covers: 67
    @Test(arguments: TestLoop.all)
    func releasedPromiseFailsTheWaitsForItsFuture(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let future: Future<Int> = loop.createFuture()
            let holder = Holder(future.makePromise())
            let tasks = (0..<2).map { _ in loop.createTask { await asyncCode { _ = try await future.value } } }
            await loop.yield()
            try OtherThread.run { holder.promise = nil }
            for task in tasks { #expect(await task.value == .brokenPromise) }
            // A promise that has a result may be released.
            let second: Future<Int> = loop.createFuture()
            try second.makePromise().setResult(1)
            let kept = try await second.value
            #expect(kept == 1)
        }
    }

    // covers: 66, 67
    @Test(arguments: TestLoop.all)
    func releasedPromiseOfAReleasedFutureIsReported(kind: TestLoop) async throws {
        try await withLoop(kind, LoopTestOptions(unhandledErrors: 1)) { loop in
            _ = loop.createFuture(of: Int.self).makePromise()
            for _ in 0..<3 { await loop.yield() }
            #expect(loop.statistics.unhandledErrors == 1)
        }
    }

    // covers: 105
    @Test(arguments: TestLoop.all)
    func promiseOfAClosedLoopThrowsClosed(kind: TestLoop) async throws {
        try await withLoopThread(kind) { loop in
            let promises = (0..<3).map { _ in loop.createFuture(of: Int.self).makePromise() }
            try loop.close()
            let refused = try OtherThread.run { code { try promises[0].setResult(1) } }
            #expect(refused == .closed)
            #expect(!promises[1].cancel())
            // The third promise is released here.
        }
    }

    // covers: 68
    @Test(arguments: TestLoop.all)
    func futureHasTheOutcomeOfItsTask(kind: TestLoop) async throws {
        try await withLoop(kind, patiently) { loop in
            let value = Future(Task.detached { 7 }, loop: loop)
            let error = Future(Task<Int, any Error>.detached { throw Failure() }, loop: loop)
            #expect(!value.isDone)
            let taskValue = try await value.value
            #expect(taskValue == 7)
            await #expect(throws: Failure.self) { try await error.value }
            let own = Future(loop.createTask { "mine" }, loop: loop)
            let ownValue = try await own.value
            #expect(ownValue == "mine")
        }
    }

    // covers: 68
    @Test(arguments: TestLoop.all)
    func futureAndItsTaskCancelEachOther(kind: TestLoop) async throws {
        try await withLoop(kind, patiently) { loop in
            let task = Task.detached { try await Task.sleep(for: .seconds(3600)) }
            let future = Future(task, loop: loop)
            task.cancel()
            await #expect(throws: CancellationError.self) { try await future.value }
            #expect(future.isCancelled)

            let other = Task.detached { try await Task.sleep(for: .seconds(3600)) }
            let itsFuture = Future(other, loop: loop)
            #expect(itsFuture.cancel())
            #expect(itsFuture.isCancelled)
            await #expect(throws: CancellationError.self) { try await other.value }
        }
    }

    @Test(arguments: TestLoop.all)
    func promisesOfManyThreadsLoseNoResult(kind: TestLoop) async throws {
        let count = rounds(debug: 500, full: 5_000)
        try await withLoop(kind, patiently) { loop in
            for _ in 0..<4 {
                let futures = (0..<count).map { _ in loop.createFuture(of: Int.self) }
                let promises = futures.map { $0.makePromise() }
                let threads = (0..<2).map { part in
                    OtherThread {
                        for number in stride(from: part, to: count, by: 2) { try? promises[number].setResult(number) }
                    }
                }
                var sum = 0
                for future in futures { sum += try await future.value }
                #expect(sum == count * (count - 1) / 2)
                for thread in threads { thread.join() }
            }
        }
    }

    // covers: 63
    @Test(arguments: TestLoop.all)
    func callbackThatIsAddedInTheCancelHookRunsLast(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            nonisolated(unsafe) let future: Future<Int> = loop.createFuture()
            nonisolated(unsafe) var calls: [String] = []
            let promise = future.makePromise(onCancel: { future.addDoneCallback { _ in calls.append("added late") } })
            future.addDoneCallback { _ in calls.append("first") }
            future.cancel()
            await loop.yield()
            #expect(calls == ["first", "added late"])
            #expect(promise.isCancelled)
        }
    }

    private final class Told: Sendable {
        let count = Atomic<Int>(0)
    }

    private final class Holder: @unchecked Sendable {
        var promise: Promise<Int>?

        init(_ promise: consuming Promise<Int>) { self.promise = promise }
    }
}
