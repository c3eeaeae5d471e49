import AsyncIO
import AsyncIOTesting
import Testing

struct TaskFactoryTests {
    private struct Failure: Error {}
    private final class Thing {}

    // covers: 69
    @Test(arguments: TestLoop.all)
    func factorySeesEachTaskBeginAndEnd(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            var notes: [String] = []
            #expect(loop.taskFactory == nil)
            loop.setTaskFactory { loop, info, operation in
                notes.append("made \(info.name ?? "") \(info.state)")
                return {
                    notes.append("begins \(loop.currentTask?.id == info.id)")
                    defer { notes.append("ends \(info.name ?? "")") }
                    try await operation()
                }
            }
            let task = loop.createTask(name: "one") {
                notes.append("runs")
                await loop.yield()
                return 5
            }
            #expect(notes == ["made one created"])
            let value = await task.value
            #expect(value == 5)
            #expect(notes == ["made one created", "begins true", "runs", "ends one"])
            let eager = loop.createTask(name: "two", eagerStart: true) { throw Failure() }
            #expect(notes.suffix(3) == ["made two created", "begins true", "ends two"])
            await #expect(throws: Failure.self) { try await eager.value }
            // Also for tasks of other threads, and for the library's own tasks.
            let posted = try OtherThread.run { loop.createTaskThreadsafe(name: "three") { loop.isOnLoop } }
            let wasOnLoop = await posted.value
            #expect(wasOnLoop)
            #expect(notes.last == "ends three")
            try await withTimeout(.seconds(60)) {}
            #expect(notes.last == "ends timeout")

            #expect(loop.taskFactory != nil)
            loop.setTaskFactory(nil)
            let count = notes.count
            await loop.createTask {}.value
            #expect(notes.count == count)
        }
    }

    // covers: 70
    @Test(arguments: TestLoop.all)
    func failedFactoryFailsTheTaskAndReleasesTheOperation(kind: TestLoop) async throws {
        try await withLoop(kind, LoopTestOptions(unhandledErrors: 1)) { loop in
            weak var captured: Thing?
            loop.setTaskFactory { _, _, _ in throw Failure() }
            let before = loop.statistics.tasks
            let task = {
                let thing = Thing()
                captured = thing
                return loop.createTask { () async throws in withExtendedLifetime(thing) {} }
            }()
            #expect(captured == nil)
            #expect(loop.statistics.tasks == before)
            await #expect(throws: Failure.self) { try await task.value }

            // No error of this task would be seen.
            loop.createBackgroundTask { Issue.record("it was started") }
            #expect(loop.statistics.unhandledErrors == 1)

            let posted = {
                nonisolated(unsafe) let thing = Thing()
                captured = thing
                return loop.createTaskThreadsafe { () async throws in withExtendedLifetime(thing) {} }
            }()
            await #expect(throws: Failure.self) { try await posted.value }
            await loop.yield()
            #expect(captured == nil)
        }
    }

    // covers: 70
    @Test(arguments: TestLoop.all)
    func closedLoopReleasesTheOperation(kind: TestLoop) async throws {
        try await withLoopThread(kind, LoopTestOptions(unhandledErrors: 1)) { loop in
            try loop.close()
            weak var captured: Thing?
            do {
                let thing = Thing()
                captured = thing
                _ = loop.createTask { () async throws in withExtendedLifetime(thing) {} }
                loop.createBackgroundTask { withExtendedLifetime(thing) {} }
                loop.createBackgroundTask { withExtendedLifetime(thing) {} }
            }
            #expect(captured == nil)
            #expect(loop.statistics.unhandledErrors == 1)
        }
    }

    // covers: 23
    @Test(arguments: TestLoop.all)
    func runEndsWhateverTheFactoryMakesOfItsMainTask(kind: TestLoop) async throws {
        try await withLoopThread(kind) { loop in
            loop.setTaskFactory { _, _, _ in throw Failure() }
            #expect(throws: Failure.self) { try loop.runUntilComplete { 1 } }
            loop.setTaskFactory { _, _, _ in { throw Failure() } }
            #expect(throws: Failure.self) { try loop.runUntilComplete { 1 } }
            loop.setTaskFactory { _, _, _ in {} }
            #expect(code { _ = try loop.runUntilComplete { 1 } } == .invalidState)
            loop.setTaskFactory { _, _, operation in
                {
                    try await operation()
                    throw Failure()
                }
            }
            #expect(throws: Failure.self) { try loop.runUntilComplete { 1 } }
            loop.setTaskFactory(nil)
            let value = try loop.runUntilComplete { 2 }
            #expect(value == 2)
            #expect(loop.statistics.tasks == 0)
        }
    }

    // covers: 66
    @Test(arguments: TestLoop.all)
    func errorOfTheFactorysOperationIsReportedForABackgroundTask(kind: TestLoop) async throws {
        try await withLoop(kind, LoopTestOptions(unhandledErrors: 2)) { loop in
            var reports: [String] = []
            loop.setExceptionHandler { _, context in reports.append(context.description) }
            loop.setTaskFactory { _, _, _ in { throw Failure() } }
            loop.createBackgroundTask(name: "queued") {}
            loop.createBackgroundTask(name: "eager", eagerStart: true) {}
            await loop.yield()
            loop.setTaskFactory(nil)
            loop.setExceptionHandler(nil)
            #expect(reports.map { $0.contains("(task 'eager')") } == [true, false])
            #expect(reports.allSatisfy { $0.hasPrefix("Task exception was never retrieved") })
        }
    }

    @Test(arguments: TestLoop.all)
    func taskFailsIfItsFactoryFailsOrForgetsTheOperation(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            loop.setTaskFactory { _, info, operation in
                switch info.name {
                case "mapped":
                    return { do { try await operation() } catch { throw EventLoopError(.busy, "mapped") } }
                case "hidden": return { try? await operation() }
                default: return {}
                }
            }
            let mapped = loop.createTask(name: "mapped") { throw Failure() }
            let hidden = loop.createTask(name: "hidden") { throw Failure() }
            let forgotten = loop.createTask(name: "forgotten") { () async throws in 1 }
            #expect(await asyncCode { try await mapped.value } == .busy)
            await #expect(throws: Failure.self) { try await hidden.value }
            #expect(await asyncCode { _ = try await forgotten.value } == .invalidState)
            loop.setTaskFactory(nil)
        }
    }
}
