import AsyncIO
import AsyncIOTesting
import Foundation
import Testing

/// Tasks whose bodies cannot throw: `Task<Success, Never>`.
struct CreateTaskWithoutErrorsTests {
    private struct Failure: Error {}

    // covers: 69
    @Test(arguments: TestLoop.all)
    func valueOfABodyThatCannotThrowNeedsNoTry(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let queued: Task<Int, Never> = loop.createTask {
                await loop.yield()
                return 1
            }
            let eager: Task<Int, Never> = loop.createTask(eagerStart: true) {
                await loop.yield()
                return 2
            }
            let posted: Task<Int, Never> = loop.createTaskThreadsafe {
                await loop.yield()
                return 3
            }
            #expect(await [queued.value, eager.value, posted.value] == [1, 2, 3])
            // A body that may throw gives another type.
            let failing: Task<Int, any Error> = loop.createTask { throw Failure() }
            await #expect(throws: Failure.self) { try await failing.value }
        }
    }

    // covers: 72, 74
    @Test(arguments: TestLoop.all)
    func cancellationEndsTheWaitsOfABodyThatCannotThrow(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let body: @concurrent () async -> Bool = {
                do {
                    try await loop.sleep(for: .seconds(3600))
                    return false
                } catch {
                    return error is CancellationError && Task.isCancelled
                }
            }
            nonisolated(unsafe) let sent = body
            let tasks = [
                loop.createTask(body), loop.createTask(eagerStart: true, body), loop.createTaskThreadsafe(sent),
            ]
            for _ in 0..<3 { await loop.yield() }
            for task in tasks {
                task.cancel()
                #expect(await task.value)
            }
        }
    }

    @Test(arguments: TestLoop.all)
    func bodyRunsOnAClosedLoopAndItsOperationsThrowClosed(kind: TestLoop) async throws {
        try await withLoopThread(kind) { loop in
            try loop.close()
            let body: @concurrent () async -> EventLoopError.Code? = {
                await asyncCode { try await loop.sleep(for: .seconds(3600)) }
            }
            nonisolated(unsafe) let sent = body
            let tasks = [
                loop.createTask(body), loop.createTask(eagerStart: true, body), loop.createTaskThreadsafe(sent),
            ]
            for task in tasks {
                let ended = DispatchSemaphore(value: 0)
                let code = LockedCode()
                Task.detached {
                    code.set(await task.value)
                    ended.signal()
                }
                #expect(ended.wait(timeout: .now() + 25) == .success)
                #expect(code.value == .closed)
            }
        }
    }

    // covers: 70
    @Test(arguments: TestLoop.all)
    func failedFactoryIsReportedAndTheBodyRunsOnce(kind: TestLoop) async throws {
        try await withLoop(kind, LoopTestOptions(unhandledErrors: 6)) { loop in
            var reports: [String] = []
            var calls = 0
            loop.setExceptionHandler { _, context in reports.append(context.description) }
            let factories: [EventLoop.TaskFactory] = [
                { _, _, _ in throw Failure() },
                { _, _, _ in { throw Failure() } },
                { _, _, operation in
                    {
                        try await operation()
                        throw Failure()
                    }
                },
                // Not reported, because it did not fail.
                { _, _, _ in {} },
            ]
            for factory in factories {
                loop.setTaskFactory(factory)
                let task = loop.createTask {
                    calls += 1
                    return calls
                }
                let posted = loop.createTaskThreadsafe { loop.isOnLoop }
                _ = await task.value
                #expect(await posted.value)
                loop.setTaskFactory(nil)
            }
            loop.setExceptionHandler(nil)
            #expect(calls == factories.count)
            #expect(reports.count == 6)
            #expect(reports.allSatisfy { $0.hasPrefix("The task factory failed") })
        }
    }

    // covers: 37
    @Test(arguments: TestLoop.all)
    func runnerCancelsAndAwaitsABodyThatCannotThrow(kind: TestLoop) async throws {
        try await withLoopThread(kind) { _ in
            nonisolated(unsafe) var steps: [String] = []
            try run(loopFactory: { try kind.makeLoop() }) { loop in
                loop.createTask {
                    do { try await loop.sleep(for: .seconds(3600)) } catch { steps.append("cancelled") }
                }
                await loop.yield()
            }
            #expect(steps == ["cancelled"])
        }
    }
}

private final class LockedCode: @unchecked Sendable {
    private let lock = NSLock()
    private var code: EventLoopError.Code?

    func set(_ code: EventLoopError.Code?) { lock.withLock { self.code = code } }
    var value: EventLoopError.Code? { lock.withLock { code } }
}
