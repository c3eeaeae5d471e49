import AsyncIO
import AsyncIOTesting
import Testing

struct CreateTaskTests {
    // covers: 69
    @Test(arguments: TestLoop.all)
    func taskBeginsInTheNextIterationAndAnEagerOneAtOnce(kind: TestLoop) async throws {
        try await withVirtualLoop(kind) { loop in
            var steps: [String] = []
            func note(_ text: String) { steps.append("\(text) \(loop.statistics.ticks - start)") }
            let start = loop.statistics.ticks
            let task = loop.createTask { note("task") }
            let eager = loop.createTask(eagerStart: true) {
                note("eager")
                await loop.yield()
                note("eager again")
            }
            loop.callSoon { note("callback") }
            note("creator")
            await task.value
            await eager.value
            #expect(steps == ["eager 0", "creator 0", "task 1", "eager again 1", "callback 1"])
        }
    }

    // covers: 69
    @Test(arguments: TestLoop.all)
    func taskCanBeCreatedBeforeTheRun(kind: TestLoop) async throws {
        try await withLoopThread(kind) { loop in
            var order: [String] = []
            loop.callSoon { order.append("first") }
            loop.createBackgroundTask {
                order.append("task on the loop: \(loop.isOnLoop)")
                loop.stop()
            }
            loop.callSoon { order.append("last") }
            #expect(order == [])
            try loop.runForever()
            #expect(order == ["first", "task on the loop: true", "last"])
        }
    }

    @Test(arguments: TestLoop.all)
    func eagerTaskBeforeTheRunRunsUpToItsFirstSuspension(kind: TestLoop) async throws {
        try await withLoopThread(kind) { loop in
            var order: [String] = []
            loop.createBackgroundTask(eagerStart: true) {
                order.append("begun")
                try await loop.sleep(for: .nanoseconds(1))
                order.append("ended")
                loop.stop()
            }
            #expect(order == ["begun"])
            try loop.runForever()
            #expect(order == ["begun", "ended"])
        }
    }

    // covers: 69
    @Test(arguments: TestLoop.all)
    func taskNameIsKnownToSwift(kind: TestLoop) async throws {
        guard #available(macOS 26, *) else { return }
        try await withLoop(kind) { loop in
            let queued = loop.createTask(name: "queued") {
                await loop.yield()
                return Task.name
            }
            let eager = loop.createTask(name: "eager", eagerStart: true) { Task.name }
            let posted = loop.createTaskThreadsafe(name: "posted") { Task.name }
            let nameless = loop.createTask { Task.name }
            var started: String?
            loop.createBackgroundTask(name: "started") { started = Task.name }
            let names = [
                await queued.value, await eager.value, await posted.value, await nameless.value,
            ]
            #expect(names == ["queued", "eager", "posted", nil])
            #expect(started == "started")
        }
    }

    // covers: 71
    @Test(arguments: TestLoop.all)
    func taskCancelledBeforeItsFirstStepIsCancelledFromTheStart(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let task = loop.createTask {
                #expect(Task.isCancelled)
                try await loop.sleep(for: .seconds(3600))
            }
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
        }
    }

    // covers: 74
    @Test(arguments: TestLoop.all)
    func taskMayIgnoreItsCancellation(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let task = loop.createTask {
                try? await loop.sleep(for: .seconds(3600))
                return "went on"
            }
            await loop.yield()
            task.cancel()
            let value = await task.value
            #expect(value == "went on")
        }
    }

    // covers: 72
    @Test(arguments: TestLoop.all)
    func cancellationEndsTheWaitWithinOneIteration(kind: TestLoop) async throws {
        try await withVirtualLoop(kind) { loop in
            var endedAfter: Int?
            let start = loop.statistics.ticks
            let task = loop.createTask {
                try? await loop.sleep(for: .seconds(3600))
                endedAfter = loop.statistics.ticks
            }
            await loop.yield()
            task.cancel()
            await loop.yield()
            #expect(endedAfter == start + 2)
            await task.value
        }
    }

    // covers: 73
    @Test(arguments: TestLoop.all)
    func cancellingATaskCancelsItsChildren(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let task = loop.createTask {
                try await withThrowingTaskGroup { group in
                    for _ in 0..<3 { group.addTask { try await loop.sleep(for: .seconds(3600)) } }
                    try await group.waitForAll()
                }
            }
            while loop.statistics.waitingTasks < 3 { await loop.yield() }
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
            #expect(loop.statistics.waitingTasks == 0)
        }
    }

    // covers: 82
    @Test(arguments: TestLoop.all)
    func firstErrorOfAGroupCancelsTheOthersAndNothingOutlivesIt(kind: TestLoop) async throws {
        struct Failure: Error {}
        try await withLoop(kind) { loop in
            await #expect(throws: Failure.self) {
                try await withThrowingTaskGroup { group in
                    for _ in 0..<3 { group.addTask { try await loop.sleep(for: .seconds(3600)) } }
                    group.addTask {
                        await Task.yield()
                        throw Failure()
                    }
                    while try await group.next() != nil {}
                }
            }
            #expect(loop.statistics.waitingTasks == 0)
        }
    }

    @Test(arguments: TestLoop.all)
    func taskCountIncludesTasksUntilTheyEnd(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let before = loop.statistics.tasks
            let tasks = (0..<10).map { number in loop.createTask { await loop.yield() } }
            #expect(loop.statistics.tasks == before + 10)
            for task in tasks { await task.value }
            #expect(loop.statistics.tasks == before)
        }
    }

    // covers: 70
    @Test(arguments: TestLoop.all)
    func operationIsReleasedWhenTheTaskHasEnded(kind: TestLoop) async throws {
        final class Thing {}
        try await withLoop(kind) { loop in
            weak var captured: Thing?
            let task = {
                let thing = Thing()
                captured = thing
                return loop.createTask { withExtendedLifetime(thing) {} }
            }()
            #expect(captured != nil)
            await task.value
            await loop.yield()
            #expect(captured == nil)
        }
    }

    // covers: 66
    @Test(arguments: TestLoop.all)
    func errorOfABackgroundTaskIsReportedOnce(kind: TestLoop) async throws {
        struct Failure: Error {}
        try await withLoop(kind, LoopTestOptions(unhandledErrors: 2)) { loop in
            var reports: [ExceptionContext] = []
            loop.setExceptionHandler { _, context in reports.append(context) }
            let before = loop.statistics.tasks
            loop.createBackgroundTask(name: "worker") {
                await loop.yield()
                throw Failure()
            }
            loop.createBackgroundTask(eagerStart: true) { throw Failure() }
            // Neither a cancellation nor an end without an error is reported.
            loop.createBackgroundTask { throw CancellationError() }
            loop.createBackgroundTask { await loop.yield() }
            #expect(loop.statistics.tasks == before + 3)
            while loop.statistics.tasks > before { await loop.yield() }
            try #require(reports.count == 2)
            #expect(reports.map(\.task) == [nil, "worker"])
            #expect(reports.allSatisfy { $0.message == "Task exception was never retrieved" && $0.error is Failure })
            #expect(reports.allSatisfy { $0.origin?.fileID.description == #fileID })
            // The error of an awaited task belongs to the code that awaits it.
            let task = loop.createTask { throw Failure() }
            await #expect(throws: Failure.self) { try await task.value }
        }
    }

    /// The loop retains its tasks, so none can get lost. Closing a loop with unfinished tasks is an error.
    // covers: 67
    @Test(arguments: TestLoop.all)
    func discardedTaskContinuesAndCloseReportsIt(kind: TestLoop) async throws {
        try await withLoopThread(kind) { loop in
            var steps: [String] = []
            _ = loop.createTask {
                try await loop.sleep(for: .microseconds(10))
                steps.append("went on")
                do { try await loop.sleep(for: .seconds(3600)) } catch { steps.append("cancelled") }
            }
            while steps.isEmpty {
                loop.stop()
                try loop.runForever()
            }
            #expect(code { try loop.close() } == .tasksAlive)
            loop.cancelAllTasks()
            while loop.statistics.tasks > 0 {
                loop.stop()
                try loop.runForever()
            }
            #expect(steps == ["went on", "cancelled"])
        }
    }

    // covers: 73
    @Test(arguments: TestLoop.all)
    func cancellationOfAnInnerTaskIsThrownInTheOuterTask(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let inner = loop.createTask { try await loop.sleep(for: .seconds(3600)) }
            let outer = loop.createTask {
                do { try await inner.value } catch { return (error is CancellationError, Task.isCancelled) }
                return (false, false)
            }
            await loop.yield()
            inner.cancel()
            let seen = await outer.value
            #expect(seen == (true, false))
        }
    }

    /// Swift does not count cancellations: a cancelled task stays cancelled, and each of its waits throws again.
    // covers: 74
    @Test(arguments: TestLoop.all)
    func cancelledTaskStaysCancelledAndCancellingAgainHasNoEffect(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            var caught = 0
            let task = loop.createTask {
                for _ in 0..<3 {
                    do { try await loop.sleep(for: .seconds(3600)) } catch is CancellationError { caught += 1 }
                }
                // The clean-up cannot wait in this task, but in a new one.
                try await loop.createTask { try await loop.sleep(for: .nanoseconds(1)) }.value
                return Task.isCancelled
            }
            await loop.yield()
            task.cancel()
            task.cancel()
            let isStillCancelled = try await task.value
            #expect(isStillCancelled)
            #expect(caught == 3)
        }
    }
}
