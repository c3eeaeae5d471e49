import AsyncIO
import AsyncIOTesting
import Testing

struct WaitForTasksTests {
    private struct Failure: Error {}

    /// Creates a task for each number of seconds; a negative number fails.
    private static func tasks(_ seconds: [Int], _ loop: EventLoop) -> [Task<Int, any Error>] {
        seconds.map { number in
            loop.createTask {
                try await loop.sleep(for: .seconds(abs(number)))
                if number < 0 { throw Failure() }
                return number
            }
        }
    }

    // covers: 87
    @Test(arguments: TestLoop.all)
    func waitEndsWhenItsConditionIsMet(kind: TestLoop) async throws {
        try await withVirtualLoop(kind) { loop in
            let tasks = Self.tasks([4, 1, -2, 3], loop)
            let first = try await wait(for: tasks, until: .firstCompleted)
            #expect(first.done == [tasks[1]] && first.pending == [tasks[0], tasks[2], tasks[3]])
            #expect(loop.now.nanoseconds == 1_000_000_000)
            let failed = try await wait(for: tasks, until: .firstError)
            #expect(failed.done == [tasks[1], tasks[2]] && failed.pending == [tasks[0], tasks[3]])
            #expect(loop.now.nanoseconds == 2_000_000_000)
            let all = try await wait(for: tasks)
            #expect(all.done == tasks && all.pending.isEmpty)
            #expect(loop.now.nanoseconds == 4_000_000_000)
            // A task that has ended already is returned without a wait.
            let again = try await wait(for: tasks, until: .firstCompleted)
            #expect(again.done == tasks)
        }
    }

    // covers: 87
    @Test(arguments: TestLoop.all)
    func timeLimitAndCancellationEndTheWaitWithoutCancellingTasks(kind: TestLoop) async throws {
        try await withVirtualLoop(kind) { loop in
            let tasks = Self.tasks([1, 3], loop)
            let limited = try await wait(for: tasks, within: .seconds(2))
            #expect(limited.done == [tasks[0]] && limited.pending == [tasks[1]])
            #expect(loop.now.nanoseconds == 2_000_000_000)
            let atOnce = try await wait(for: tasks, within: .zero)
            #expect(atOnce.done == [tasks[0]])
            let outer = loop.createTask { try await wait(for: tasks).done }
            await loop.yield()
            outer.cancel()
            await #expect(throws: CancellationError.self) { _ = try await outer.value }
            #expect(loop.now.nanoseconds == 2_000_000_000)
            #expect(try await tasks[1].value == 3)
        }
    }

    @Test(arguments: TestLoop.all)
    func cancelledTaskIsNoFailure(kind: TestLoop) async throws {
        try await withVirtualLoop(kind) { loop in
            let tasks = Self.tasks([3600, 1], loop)
            tasks[0].cancel()
            let all = try await wait(for: tasks, until: .firstError)
            #expect(all.pending.isEmpty && loop.now.nanoseconds == 1_000_000_000)
            #expect(await asyncCode { _ = try await wait(for: [Task<Int, Never>]()) } == .invalidArgument)
        }
    }

    // covers: 80, 81
    @Test(arguments: TestLoop.all)
    func timeLimitOfATaskCancelsItAndWaitsForItsEnd(kind: TestLoop) async throws {
        try await withVirtualLoop(kind) { loop in
            let quick = try await wait(for: Self.tasks([1], loop)[0], within: .seconds(2))
            #expect(quick == 1)
            await #expect(throws: Failure.self) {
                _ = try await wait(for: Self.tasks([-1], loop)[0], within: .seconds(2))
            }
            #expect(loop.now.nanoseconds == 2_000_000_000)

            var hasEnded = false
            let stubborn = loop.createTask { () async throws in
                do { try await loop.sleep(for: .seconds(3600)) } catch {
                    for _ in 0..<5 { await loop.yield() }
                    hasEnded = true
                    throw error
                }
            }
            #expect(await asyncCode { try await wait(for: stubborn, within: .seconds(1)) } == .timedOut)
            #expect(hasEnded && loop.now.nanoseconds == 3_000_000_000)

            // A value after the time limit is not discarded.
            let late = loop.createTask { () async throws in
                try? await loop.sleep(for: .seconds(3600))
                return "late"
            }
            #expect(try await wait(for: late, within: .seconds(1)) == "late")

            // A limit of zero returns a value that exists, or throws.
            #expect(try await wait(for: late, within: .zero) == "late")
            let waiting = loop.createTask { try await loop.sleep(for: .seconds(3600)) }
            #expect(await asyncCode { try await wait(for: waiting, within: .zero) } == .timedOut)
            #expect(loop.now.nanoseconds == 4_000_000_000)
        }
    }

    // covers: 73
    @Test(arguments: TestLoop.all)
    func cancelledCallerCancelsTheTaskOfATimeLimit(kind: TestLoop) async throws {
        try await withVirtualLoop(kind) { loop in
            let task = loop.createTask { try await loop.sleep(for: .seconds(3600)) }
            let outer = loop.createTask { try await wait(for: task, within: .seconds(60)) }
            await loop.yield()
            outer.cancel()
            await #expect(throws: CancellationError.self) { try await outer.value }
            #expect(task.isCancelled && loop.now.nanoseconds == 0)
        }
    }
}

struct AsCompletedTests {
    private struct Failure: Error {}

    // covers: 88
    @Test(arguments: TestLoop.all)
    func asCompletedReturnsTasksInTheOrderInWhichTheyEnd(kind: TestLoop) async throws {
        try await withVirtualLoop(kind) { loop in
            let tasks = [3, 1, 2].map { number in
                loop.createTask { () async throws in
                    try await loop.sleep(for: .seconds(number))
                    if number == 2 { throw Failure() }
                    return number
                }
            }
            var values: [Int?] = []
            var indices: [Int?] = []
            for try await task in asCompleted(tasks, within: .seconds(10)) {
                indices.append(tasks.firstIndex(of: task))
                values.append(try? await task.value)
                #expect(loop.now.nanoseconds == Int64(values.count) * 1_000_000_000)
            }
            #expect(indices == [1, 2, 0])
            #expect(values == [1, nil, 3])
            for try await _ in asCompleted([Task<Int, Never>]()) { Issue.record("there is no task") }
        }
    }

    // covers: 88
    @Test(arguments: TestLoop.all)
    func timeLimitOfAsCompletedCoversAllTasksAndCancelsNone(kind: TestLoop) async throws {
        try await withVirtualLoop(kind) { loop in
            let tasks = [1, 2, 3].map { number in loop.createTask { try await loop.sleep(for: .seconds(number)) } }
            var count = 0
            let code = await asyncCode {
                for try await _ in asCompleted(tasks, within: .milliseconds(2500)) { count += 1 }
            }
            #expect(code == .timedOut && count == 2)
            #expect(loop.now.nanoseconds == 2_500_000_000)
            try await tasks[2].value
            // An iteration that is left early leaves no timer.
            for try await _ in asCompleted(tasks, within: .seconds(60)) { break }
        }
    }

    @Test(arguments: TestLoop.all)
    func cancellationEndsTheIterationOverTheTasks(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let task = loop.createTask { try await loop.sleep(for: .seconds(3600)) }
            let outer = loop.createTask {
                for try await _ in asCompleted([task]) { Issue.record("it has not ended") }
            }
            await loop.yield()
            outer.cancel()
            await #expect(throws: CancellationError.self) { try await outer.value }
            #expect(!task.isCancelled)
            task.cancel()
            _ = await task.result
        }
    }
}
