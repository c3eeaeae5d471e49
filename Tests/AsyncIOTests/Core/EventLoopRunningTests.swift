import AsyncIOSystem
import AsyncIOTesting
import SystemPackage
import Testing

@testable import AsyncIO

struct EventLoopRunningTests {
    // covers: 28, F35
    @Test(arguments: TestLoop.all)
    func stopBeforeTheRunMakesItOneIterationWithoutAWait(kind: TestLoop) async throws {
        try await withVirtualLoopThread(kind) { loop in
            var calls: [String] = []
            loop.callSoon {
                calls.append("first")
                loop.callSoon { calls.append("second") }
            }
            let timer = loop.callLater(after: .seconds(1)) { calls.append("timer") }
            loop.stop()
            try loop.runForever()
            #expect(calls == ["first"])
            #expect(loop.statistics.ticks == 1)
            #expect(loop.now == LoopInstant(nanoseconds: 0))
            timer.cancel()
        }
    }

    // covers: 27, 30
    @Test(arguments: TestLoop.all)
    func stopEndsTheRunAfterTheIterationAndTheLoopRunsAgain(kind: TestLoop) async throws {
        try await withLoopThread(kind) { loop in
            var calls: [Int] = []
            for run in 0..<100 {
                loop.callSoon {
                    calls.append(run * 3)
                    loop.stop()
                    loop.callSoon { calls.append(run * 3 + 2) }
                }
                loop.callSoon { calls.append(run * 3 + 1) }
                try loop.runForever()
                #expect(calls.count == run * 3 + 2)
                #expect(!loop.isRunning)
                loop.stop()
                try loop.runForever()
            }
            #expect(calls == Array(0..<300))
        }
    }

    // covers: 29
    @Test(arguments: TestLoop.all)
    func eventPendingAtTheStopIsDeliveredOnce(kind: TestLoop) async throws {
        try await withLoopThread(kind) { loop in
            let pipe = try FileDescriptor.pipe()
            defer {
                try? pipe.readEnd.close()
                try? pipe.writeEnd.close()
            }
            var calls = 0
            try loop.addReader(pipe.readEnd) {
                calls += 1
                var byte: [UInt8] = [0]
                let count = try byte.withUnsafeMutableBytes { try pipe.readEnd.read(into: $0) }
                #expect(count == 1)
            }
            // Found ready in the iteration that is stopped, so it runs before the run returns.
            try pipe.writeEnd.writeAll([1])
            loop.callSoon { loop.stop() }
            try loop.runForever()
            #expect(calls == 1)
            // Ready only after the wait of that iteration, so it runs in the next run.
            loop.callSoon {
                loop.stop()
                try pipe.writeEnd.writeAll([2])
            }
            try loop.runForever()
            #expect(calls == 1)
            for _ in 0..<3 {
                loop.stop()
                try loop.runForever()
                #expect(calls == 2)
            }
            loop.removeReader(pipe.readEnd)
        }
    }

    // covers: 28, F35
    @Test(arguments: TestLoop.all)
    func stoppingTwiceOrOnManyThreadsIsLikeStoppingOnce(kind: TestLoop) async throws {
        try await withLoopThread(kind, patiently) { loop in
            loop.stop()
            loop.stop()
            try loop.runForever()
            for _ in 0..<20 {
                let threads = (0..<4).map { _ in OtherThread { _ = try? loop.callSoonThreadsafe { loop.stop() } } }
                try loop.runForever()
                for thread in threads { thread.join() }
                #expect(!loop.isRunning)
                // The remaining stops were submitted to this run.
                loop.stop()
                try loop.runForever()
            }
            #expect(try loop.runUntilComplete { 7 } == 7)
        }
    }

    // covers: 23
    @Test(arguments: TestLoop.all)
    func runUntilCompleteReturnsTheResultOrThrowsTheError(kind: TestLoop) async throws {
        struct Failure: Error {}
        try await withLoopThread(kind) { loop in
            #expect(try loop.runUntilComplete { 42 } == 42)
            let text = try loop.runUntilComplete {
                try await loop.sleep(for: .microseconds(10))
                return "later"
            }
            #expect(text == "later")
            #expect(throws: Failure.self) { try loop.runUntilComplete { throw Failure() } }
            #expect(!loop.isRunning)
        }
    }

    // covers: 25
    @Test(arguments: TestLoop.all)
    func taskOutlivesAStoppedRunAndDoesNotStopTheNext(kind: TestLoop) async throws {
        try await withVirtualLoopThread(kind) { loop in
            var steps: [String] = []
            nonisolated(unsafe) let note: (String) -> Void = { steps.append($0) }
            loop.callLater(after: .milliseconds(1)) { loop.stop() }
            let error = code {
                try loop.runUntilComplete {
                    note("begun")
                    try await loop.sleep(for: .milliseconds(5))
                    note("ended")
                }
            }
            #expect(error == .stoppedBeforeCompletion)
            #expect(steps == ["begun"])
            #expect(loop.statistics.tasks == 1)
            loop.callLater(after: .milliseconds(10)) {
                note("stopped")
                loop.stop()
            }
            try loop.runForever()
            #expect(steps == ["begun", "ended", "stopped"])
            #expect(loop.statistics.tasks == 0)
        }
    }

    // covers: 26, 38
    @Test(arguments: TestLoop.all)
    func runWithinARunIsRejectedWithoutSideEffects(kind: TestLoop) async throws {
        try await withLoopThread(kind) { loop in
            let other = try kind.makeLoop()
            var calls: [String] = []
            loop.callSoon {
                calls.append("callback")
                #expect(code { try loop.runForever() } == .alreadyRunning)
                #expect(code { try loop.runUntilComplete {} } == .alreadyRunning)
                #expect(code { try other.runForever() } == .anotherLoopRunning)
                #expect(code { try other.runUntilComplete {} } == .anotherLoopRunning)
                #expect(code { try run {} } == .anotherLoopRunning)
                #expect(runningLoop === loop)
                #expect(other.statistics.tasks == 0)
                loop.callSoon {
                    calls.append("later")
                    loop.stop()
                }
            }
            try loop.runForever()
            #expect(calls == ["callback", "later"])
            #expect(runningLoop == nil)
            #expect(code { _ = try getRunningLoop() } == .notRunning)
            try other.close()
        }
    }

    // covers: 104, 108
    @Test(arguments: TestLoop.all)
    func loopBelongsToTheThreadOfItsFirstRun(kind: TestLoop) async throws {
        try await withLoopThread(kind) { loop in
            // Created on this thread, and first run on another one.
            let moved = try kind.makeLoop()
            let thread = try OtherThread.run {
                let value = try moved.runUntilComplete { 1 }
                #expect(value == 1)
                return currentThread()
            }
            #expect(thread != currentThread())
            #expect(!moved.isOnLoop)
            #expect(code { try moved.runForever() } == .wrongThread)
            #expect(code { try moved.runUntilComplete {} } == .wrongThread)
            #expect(code { try moved.close() } == .wrongThread)
        }
    }

    /// A whole run of one thread may lie between the check of another thread and its run.
    // covers: 104, 108
    @Test(arguments: TestLoop.all)
    func runIsRejectedIfAnotherThreadsFirstRunCameInBetween(kind: TestLoop) async throws {
        try await withLoopThread(kind) { _ in
            let loop = try kind.makeLoop()
            try loop.checkMayRun("run")
            try OtherThread.run { try loop.runUntilComplete {} }
            #expect(code { try loop.beginRun() } == .wrongThread)
            #expect(!loop.isRunning)
        }
    }

    // covers: 106, 108
    @Test(arguments: TestLoop.all)
    func loopThatRunsOnAnotherThreadCannotBeRun(kind: TestLoop) async throws {
        try await withLoopThread(kind) { loop in
            loop.callSoon {
                let refused = try OtherThread.run {
                    [code { try loop.runForever() }, code { try loop.close() }]
                }
                #expect(refused == [.alreadyRunning, .alreadyRunning])
                let isOnLoop = try OtherThread.run { loop.isOnLoop }
                #expect(!isOnLoop)
                loop.stop()
            }
            try loop.runForever()
        }
    }

    // covers: 111
    @Test(arguments: TestLoop.all)
    func runInATaskIsRejectedWithAMessage(kind: TestLoop) throws {
        let loop = try kind.makeLoop()
        // A test is a task.
        let error = #expect(throws: EventLoopError.self) { try loop.runForever() }
        #expect(error?.code == .calledFromTask)
        #expect(error?.description.contains("synchronous code") == true)
        #expect(code { try loop.runUntilComplete {} } == .calledFromTask)
        #expect(code { try run {} } == .calledFromTask)
        try loop.close()
    }

    // covers: 31, 295
    @Test func failedPollerEndsTheRunAndTheLoopRunsAgain() async throws {
        try await withLoopThread(makeLoop: CountingLoop.init) { loop in
            loop.counter.nextError = .noMemory
            var calls = 0
            loop.callSoon { calls += 1 }
            let error = #expect(throws: IOError.self) { try loop.runForever() }
            #expect(error?.errno == .noMemory)
            #expect(!loop.isRunning)
            #expect(runningLoop == nil)
            #expect(calls == 0)
            loop.stop()
            try loop.runForever()
            #expect(calls == 1)
        }
    }

    // covers: 25, 66
    @Test(arguments: TestLoop.all)
    func errorOfAMainTaskThatOutlivesItsRunIsReported(kind: TestLoop) async throws {
        struct Failure: Error {}
        try await withLoopThread(kind, LoopTestOptions(unhandledErrors: 1)) { loop in
            var reports: [ExceptionContext] = []
            loop.setExceptionHandler { _, context in reports.append(context) }
            let line: UInt = #line + 2
            func run() throws {
                try loop.runUntilComplete {
                    loop.stop()
                    await loop.yield()
                    throw Failure()
                }
            }
            #expect(code(run) == .stoppedBeforeCompletion)
            #expect(reports.isEmpty)
            loop.stop()
            try loop.runForever()
            #expect(loop.statistics.tasks == 0)
            #expect(reports.map(\.message) == ["Task exception was never retrieved"])
            #expect(reports.first?.error is Failure)
            #expect(reports.first?.task == "main")
            #expect(reports.first?.origin?.line == line)
            #expect(reports.first?.origin?.fileID.description == #fileID)
        }
    }

    // covers: 66, 295
    @Test func errorOfAMainTaskWhoseRunFailedIsReported() async throws {
        struct Failure: Error {}
        try await withLoopThread(makeLoop: CountingLoop.init, LoopTestOptions(unhandledErrors: 1)) { loop in
            loop.counter.nextError = .noMemory
            #expect(throws: IOError.self) { try loop.runUntilComplete { throw Failure() } }
            #expect(loop.statistics.tasks == 1)
            loop.stop()
            try loop.runForever()
            #expect(loop.statistics.tasks == 0)
        }
    }

    // covers: 106
    @Test(arguments: TestLoop.all)
    func anotherThreadStopsTheLoopWithACallback(kind: TestLoop) async throws {
        try await withLoopThread(kind) { loop in
            for _ in 0..<100 {
                let thread = OtherThread { _ = try? loop.callSoonThreadsafe { loop.stop() } }
                try loop.runForever()
                thread.join()
            }
        }
    }

    // covers: 24, 107
    @Test(arguments: TestLoop.all)
    func anotherThreadsTaskRunsOnTheLoopAndItsResultIsReturned(kind: TestLoop) async throws {
        let (value, error) = try await withLoop(kind, patiently) { loop in
            await withTaskExecutorPreference(globalConcurrentExecutor) {
                let value = await Task(executorPreference: loop) { loop.isOnLoop ? 7 : 0 }.value
                let error = await asyncCode {
                    try await Task(executorPreference: loop) { throw EventLoopError(.busy, "") }.value
                }
                return (value, error)
            }
        }
        #expect(value == 7)
        #expect(error == .busy)
    }
}
