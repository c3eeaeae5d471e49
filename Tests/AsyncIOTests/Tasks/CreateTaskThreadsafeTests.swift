import AsyncIO
import AsyncIOTesting
import Foundation
import Testing

struct CreateTaskThreadsafeTests {
    private struct Failure: Error {}

    // covers: 107
    @Test(arguments: TestLoop.all)
    func anotherThreadsTaskRunsOnTheLoopAndReturnsItsResult(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let home = currentThread()
            let (value, error) = try OtherThread.run {
                (
                    loop.createTaskThreadsafe(name: "posted") { (currentThread(), loop.currentTask?.name) },
                    loop.createTaskThreadsafe { throw Failure() }
                )
            }
            let received = await value.value
            #expect(received == (home, "posted"))
            await #expect(throws: Failure.self) { try await error.value }
        }
    }

    // covers: 107
    @Test(arguments: TestLoop.all)
    func submittedTaskCanBeCancelledOnEitherThread(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let before = loop.statistics.tasks
            let tasks = try OtherThread.run {
                (0..<2).map { _ in loop.createTaskThreadsafe { try await loop.sleep(for: .seconds(3600)) } }
            }
            while loop.statistics.waitingTasks < 2 { await loop.yield() }
            #expect(loop.statistics.tasks == before + 2)
            OtherThread { tasks[0].cancel() }.join()
            await #expect(throws: CancellationError.self) { try await tasks[0].value }
            #expect(loop.statistics.tasks == before + 1)
            // Cancelled on the loop, whose own test task would be cancelled too.
            tasks[1].cancel()
            await #expect(throws: CancellationError.self) { try await tasks[1].value }
            #expect(loop.statistics.tasks == before)
        }
    }

    // covers: 71
    @Test(arguments: TestLoop.all)
    func submittedTaskCancelledBeforeItBeginsIsCancelledFromTheStart(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let task = loop.createTaskThreadsafe {
                #expect(Task.isCancelled)
                try await loop.sleep(for: .seconds(3600))
            }
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
        }
    }

    @Test(arguments: TestLoop.all)
    func loopCancelsASubmittedTaskWithItsOtherTasks(kind: TestLoop) async throws {
        try await withLoopThread(kind) { loop in
            let task = try OtherThread.run {
                loop.createTaskThreadsafe { try await loop.sleep(for: .seconds(3600)) }
            }
            for _ in 0..<2 {
                loop.stop()
                try loop.runForever()
            }
            #expect(loop.statistics.tasks == 1)
            #expect(code { try loop.close() } == .tasksAlive)
            loop.cancelAllTasks()
            while loop.statistics.tasks > 0 {
                loop.stop()
                try loop.runForever()
            }
            task.cancel()
        }
    }

    // covers: 105, F33, F34
    @Test(arguments: TestLoop.all)
    func tasksThatAreSubmittedDuringACloseEnd(kind: TestLoop) async throws {
        let (made, ended, released) = (Counter(), Counter(), Counter())
        for _ in 0..<rounds(debug: 20, full: 200) {
            try await withLoopThread(kind, LoopTestOptions(timeLimit: .seconds(60), allowsLeftoverWork: true)) { loop in
                let group = DispatchGroup()
                let started = Counter()
                let threads = (0..<2).map { _ in
                    OtherThread {
                        for number in 0..<200 {
                            let counted = Counted(released)
                            group.enter()
                            made.increment()
                            let task = loop.createTaskThreadsafe {
                                counted.touch()
                                await loop.yield()
                            }
                            Task.detached {
                                _ = await task.result
                                ended.increment()
                                group.leave()
                            }
                            if number == 20 { started.increment() }
                        }
                    }
                }
                while started.value < 2 { sched_yield() }
                while true {
                    loop.stop()
                    try loop.runForever()
                    do {
                        try loop.close()
                        break
                    } catch let error as EventLoopError where error.code == .tasksAlive {}
                }
                for thread in threads { thread.join() }
                #expect(group.wait(timeout: .now() + 50) == .success)
            }
        }
        #expect(ended.value == made.value)
        // The last objects may be released later, on another thread.
        for _ in 0..<5_000 where released.value < made.value { usleep(1_000) }
        #expect(released.value == made.value)
    }

    // covers: 90
    @Test(arguments: TestLoop.all)
    func submittedTaskHasNoTaskLocalValuesAndACallbackHasItsSchedulers(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let task = try await Local.$name.withValue("outer") {
                let posted = try OtherThread.run { loop.createTaskThreadsafe { Local.name } }
                let name = Local.name
                var (captured, current) = ("", "")
                loop.callSoon { (captured, current) = (name, Local.name) }
                await loop.yield()
                #expect(captured == "outer")
                // A callback does not run in a task.
                #expect(current == "none")
                return posted
            }
            let name = await task.value
            #expect(name == "none")
            #expect(try OtherThread.run { Local.name } == "none")
        }
    }
}

private enum Local {
    @TaskLocal static var name = "none"
}
