import AsyncIO
import AsyncIOTesting
import Testing

/// Each test runs on a separate thread. Ctrl-C needs the main thread, and is tested by
/// `Tests/UserPackages/interrupts.py`.
struct RunnerTests {
    struct Failure: Error {}
    @TaskLocal static var label = "none"

    // covers: 38
    @Test(arguments: TestLoop.all)
    func runsShareTheLoopAndItsSuspendedTasks(kind: TestLoop) async throws {
        try await withLoopThread(kind) { _ in
            let runner = Runner(loopFactory: { try kind.makeLoop() })
            let loop = try runner.getLoop()
            #expect(!loop.isRunning && !loop.isClosed)
            nonisolated(unsafe) var steps: [String] = []
            for number in 0..<3 {
                let home = try runner.run {
                    steps.append("run \(number)")
                    let loop = try getRunningLoop()
                    loop.callSoon {
                        loop.callSoon { steps.append("left by \(number)") }
                    }
                    return ObjectIdentifier(loop)
                }
                #expect(home == ObjectIdentifier(loop))
                #expect(runningLoop == nil)
            }
            // The tasks that a run leaves wait for the next run.
            #expect(steps.filter { $0.hasPrefix("run") } == ["run 0", "run 1", "run 2"])
            #expect(!steps.contains("left by 2"))
            try runner.run { for _ in 0..<3 { await loop.yield() } }
            #expect(steps.filter { $0.hasPrefix("left") } == ["left by 0", "left by 1", "left by 2"])
            try runner.close()
            #expect(loop.isClosed)
        }
    }

    // covers: 38
    @Test func eachRunSeesTheTaskLocalValuesOfItsCaller() async throws {
        try await withLoopThread { _ in
            let runner = Runner()
            let labels = try Self.$label.withValue("outer") {
                try (0..<2).map { _ in try runner.run { Self.label } }
            }
            #expect(labels == ["outer", "outer"])
            let after = try runner.run { Self.label }
            #expect(after == "none")
            try runner.close()
        }
    }

    // covers: 38
    @Test func closedRunnerRejectsRunsAndClosingAgainHasNoEffect() async throws {
        try await withLoopThread { _ in
            let runner = Runner()
            let value = try runner.run { 1 }
            #expect(value == 1)
            try runner.close()
            try runner.close()
            #expect(code { try runner.run {} } == .runnerClosed)
            #expect(code { _ = try runner.getLoop() } == .runnerClosed)

            let unused = Runner(loopFactory: {
                Issue.record("a loop was made")
                return try LoopKind.auto.makeLoop()
            })
            try unused.close()
            #expect(code { try unused.run {} } == .runnerClosed)
        }
    }

    // covers: 26, 38
    @Test(arguments: TestLoop.all)
    func runWithinARunIsRejectedBeforeALoopIsCreated(kind: TestLoop) async throws {
        try await withLoopThread(kind) { _ in
            nonisolated(unsafe) let runner = Runner(loopFactory: { try kind.makeLoop() })
            nonisolated(unsafe) var made = 0
            let codes = try runner.run {
                let loop = try getRunningLoop()
                nonisolated(unsafe) let second = Runner(loopFactory: {
                    made += 1
                    return try kind.makeLoop()
                })
                let attempts: [() throws -> Void] = [
                    { try runner.run {} },
                    { try runner.close() },
                    { try second.run {} },
                    {
                        try AsyncIO.run(loopFactory: {
                            made += 1
                            return try kind.makeLoop()
                        }) {}
                    },
                ]
                nonisolated(unsafe) var codes = attempts.map { attempt in code { try attempt() } }
                // In a callback too.
                let ofCallbacks = loop.createTask {
                    var found: [EventLoopError.Code?] = []
                    nonisolated(unsafe) let collect: (EventLoopError.Code?) -> Void = { found.append($0) }
                    loop.callSoon { for attempt in attempts { collect(code { try attempt() }) } }
                    await loop.yield()
                    await loop.yield()
                    return found
                }
                codes += await ofCallbacks.value
                #expect(runningLoop === loop)
                return codes
            }
            #expect(
                codes
                    == Array(
                        repeating: [.alreadyRunning, .alreadyRunning, .anotherLoopRunning, .anotherLoopRunning],
                        count: 2
                    ).flatMap { $0 })
            #expect(made == 0)
            // The outer runner remains usable.
            let value = try runner.run { 2 }
            #expect(value == 2)
            try runner.close()
        }
    }

    @Test func runInATaskIsRejectedWithAMessage() {
        // A test is a task.
        let runner = Runner(loopFactory: {
            Issue.record("a loop was made")
            return try LoopKind.auto.makeLoop()
        })
        func attempt() throws { try runner.run {} }
        let error = #expect(throws: EventLoopError.self) { try attempt() }
        #expect(error?.code == .calledFromTask)
        #expect(error?.description.hasPrefix("Runner.run blocks its thread") == true)
    }

    // covers: 37
    @Test(arguments: TestLoop.all)
    func errorOfARemainingTaskIsReportedUnlessItIsItsCancellation(kind: TestLoop) async throws {
        try await withLoopThread(kind) { _ in
            nonisolated(unsafe) var reports: [ExceptionContext] = []
            let runner = Runner(loopFactory: { try kind.makeLoop() })
            let loop = try runner.getLoop()
            loop.setExceptionHandler { _, context in reports.append(context) }
            let line: UInt = #line + 2
            try runner.run {
                _ = loop.createTask(name: "fails") {
                    do { try await loop.sleep(for: .seconds(3_600)) } catch { throw Failure() }
                }
                _ = loop.createTask { try await loop.sleep(for: .seconds(3_600)) }
                _ = loop.createTask { try? await loop.sleep(for: .seconds(3_600)) }
                // Ends before the close, so its error belongs to the code that awaits it.
                _ = loop.createTask { throw Failure() }
                await loop.yield()
                await loop.yield()
            }
            #expect(reports.isEmpty)
            try runner.close()
            #expect(loop.isClosed)
            #expect(reports.map(\.message) == ["unhandled exception during run() shutdown"])
            #expect(reports.first?.error is Failure)
            #expect(reports.first?.task == "fails")
            #expect(reports.first?.origin?.line == line)
        }
    }

    // covers: 37, 107
    @Test(arguments: TestLoop.all)
    func errorOfASubmittedTaskDuringTheCloseIsReported(kind: TestLoop) async throws {
        try await withLoopThread(kind) { _ in
            nonisolated(unsafe) var reports: [ExceptionContext] = []
            let runner = Runner(loopFactory: { try kind.makeLoop() })
            let loop = try runner.getLoop()
            loop.setExceptionHandler { _, context in reports.append(context) }
            let line: UInt = #line + 2
            try runner.run {
                _ = loop.createTaskThreadsafe(name: "posted") {
                    do { try await loop.sleep(for: .seconds(3_600)) } catch { throw Failure() }
                }
                _ = loop.createTaskThreadsafe { try await loop.sleep(for: .seconds(3_600)) }
                // Ends before the close, so its error belongs to the code that awaits it.
                _ = loop.createTaskThreadsafe { throw Failure() }
                while loop.statistics.waitingTasks < 2 { await loop.yield() }
            }
            #expect(reports.isEmpty)
            try runner.close()
            #expect(reports.map(\.message) == ["unhandled exception during run() shutdown"])
            #expect(reports.first?.error is Failure)
            #expect(reports.first?.task == "posted")
            #expect(reports.first?.origin?.line == line)
        }
    }

    /// The body of a time limit runs in a separate task, which its caller awaits, so the caller gets the error.
    @Test(arguments: TestLoop.all)
    func errorOfATimeLimitsBodyDuringTheCloseIsThrownToItsCaller(kind: TestLoop) async throws {
        try await withLoopThread(kind) { _ in
            nonisolated(unsafe) var reports: [ExceptionContext] = []
            nonisolated(unsafe) var caught: (any Error)?
            let runner = Runner(loopFactory: { try kind.makeLoop() })
            let loop = try runner.getLoop()
            loop.setExceptionHandler { _, context in reports.append(context) }
            try runner.run {
                loop.createBackgroundTask {
                    do {
                        try await withTimeout(.seconds(3_600)) {
                            do { try await loop.sleep(for: .seconds(60)) } catch { throw Failure() }
                        }
                    } catch {
                        caught = error
                    }
                }
                while loop.statistics.waitingTasks < 1 { await loop.yield() }
            }
            try runner.close()
            #expect(caught is Failure)
            #expect(reports.isEmpty, "\(reports.map(\.message))")
        }
    }

    // covers: 25, 37
    @Test func closeEndsAMainTaskThatAStopHasSuspended() async throws {
        try await withLoopThread { _ in
            nonisolated(unsafe) var reports: [String] = []
            let runner = Runner()
            let loop = try runner.getLoop()
            loop.setExceptionHandler { _, context in reports.append("\(context)") }
            let error = code {
                try runner.run {
                    loop.callSoon { loop.stop() }
                    do { try await loop.sleep(for: .seconds(3_600)) } catch { throw Failure() }
                }
            }
            #expect(error == .stoppedBeforeCompletion)
            #expect(loop.statistics.tasks == 1)
            try runner.close()
            #expect(reports.count == 1)
            #expect(
                reports.first?.hasPrefix(
                    "unhandled exception during run() shutdown (task 'main'): Failure() (created at \(#fileID):")
                    == true)
        }
    }

    // covers: 38
    @Test func runnerSetsTheThreadsLoopUnlessItHasALoopFactory() async throws {
        try await withLoopThread { _ in
            let own = Runner()
            let loop = try own.getLoop()
            let current = try getEventLoop()
            #expect(current === loop)
            let given = Runner(loopFactory: { try LoopKind.auto.makeLoop() })
            try given.run {}
            let stillCurrent = try getEventLoop()
            #expect(stillCurrent === loop)
            try given.close()
            let afterwards = try getEventLoop()
            #expect(afterwards === loop)
            try own.close()
            #expect(code { _ = try getEventLoop() } == .noCurrentLoop)
        }
    }

    @Test func runnerChangesDebugModeOnlyIfRequested() async throws {
        try await withLoopThread { loop in
            let before = loop.debug.isEnabled
            for isDebug in [nil, true, false] {
                let runner = Runner(isDebug: isDebug)
                #expect(try runner.getLoop().debug.isEnabled == isDebug ?? before)
                try runner.close()
            }
            let isDebug = try run(isDebug: true) { try getRunningLoop().debug.isEnabled }
            #expect(isDebug)
            // A loop that another thread created belongs to this thread from its run on.
            let moved = try OtherThread.run { try LoopKind.auto.makeLoop() }
            let isMovedDebug = try run(isDebug: true, loopFactory: { moved }) {
                await moved.yield()
                return moved.debug.isEnabled
            }
            #expect(isMovedDebug)
        }
    }

    @Test func failedLoopFactoryLeavesTheRunnerUnchanged() async throws {
        try await withLoopThread { _ in
            nonisolated(unsafe) var fails = true
            let runner = Runner(loopFactory: {
                if fails { throw Failure() }
                return try LoopKind.auto.makeLoop()
            })
            #expect(throws: Failure.self) { try runner.run {} }
            fails = false
            let value = try runner.run { 1 }
            #expect(value == 1)
            try runner.close()
        }
    }

    // covers: 108
    @Test(arguments: TestLoop.all)
    func runnerRejectsTheLoopOfAnotherThread(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let codes = try OtherThread.run {
                nonisolated(unsafe) let runner = Runner(loopFactory: { loop })
                return [
                    code { try runner.run {} }, code { try runner.close() },
                    code { try run(loopFactory: { loop }) {} },
                ]
            }
            #expect(codes == [.alreadyRunning, .alreadyRunning, .alreadyRunning])
            #expect(!loop.isClosed)
        }
        try await withLoopThread(kind) { loop in
            try loop.runUntilComplete {}
            let codes = try OtherThread.run {
                nonisolated(unsafe) let runner = Runner(loopFactory: { loop })
                return [
                    code { try runner.run {} }, code { try runner.close() },
                    code { try run(loopFactory: { loop }) {} },
                ]
            }
            #expect(codes == [.wrongThread, .wrongThread, .wrongThread])
            let value = try loop.runUntilComplete { 1 }
            #expect(value == 1)
        }
    }

    @Test func runnerAcceptsThatItsLoopWasClosed() async throws {
        try await withLoopThread { _ in
            let runner = Runner()
            try runner.run {}
            try runner.getLoop().close()
            #expect(code { try runner.run {} } == .closed)
            try runner.close()
            #expect(code { _ = try getEventLoop() } == .noCurrentLoop)
        }
    }
}
