import AsyncIO
import AsyncIOTesting
import Testing

/// What runs on the loop's thread and what does not. The number of the thread shows where code ran.
struct LoopExecutorTests {
    // covers: 91
    @Test(arguments: TestLoop.all)
    func asyncFunctionsStayOnTheLoop(kind: TestLoop) async throws {
        try await withLoop(kind, patiently) { loop in
            let home = currentThread()
            #expect(loop.isOnLoop)
            #expect(runningLoop === loop)
            #expect(await threadOfNonisolated() == home)
            #expect(await threadOfConcurrent() == home)
            #expect(currentThread() == home)
        }
    }

    // covers: 89, 91
    @Test(arguments: TestLoop.all)
    func taskThatPrefersTheLoopRunsThereFromItsFirstStep(kind: TestLoop) async throws {
        try await withLoop(kind, patiently) { loop in
            let home = currentThread()
            let threads = await Task(executorPreference: loop) {
                [currentThread(), await threadOfConcurrent(), await threadOfNonisolated(), currentThread()]
            }.value
            #expect(threads == [home, home, home, home])
            #expect(await Task.detached(executorPreference: loop) { currentThread() }.value == home)
            #expect(currentThread() == home)
        }
    }

    // covers: 91
    @Test(arguments: TestLoop.all)
    func childTasksStayOnTheLoop(kind: TestLoop) async throws {
        try await withLoop(kind, patiently) { _ in
            let home = currentThread()
            async let child = threadOfConcurrent()
            async let nested = threadsOfNestedChildren()
            #expect(await child == home)
            #expect(await nested == [home, home, home])
            let threads = await withTaskGroup(of: [UInt].self) { group in
                for _ in 0..<4 {
                    group.addTask {
                        let before = currentThread()
                        await Task.yield()
                        return [before, await threadOfConcurrent(), currentThread()] + (await threadsOfNestedChildren())
                    }
                }
                return await group.reduce(into: []) { $0 += $1 }
            }
            #expect(threads.count == 24)
            #expect(Set(threads) == [home])
            #expect(currentThread() == home)
        }
    }

    // covers: 91
    @Test(arguments: TestLoop.all)
    func actorWithTheDefaultExecutorRunsOnTheLoop(kind: TestLoop) async throws {
        try await withLoop(kind, patiently) { loop in
            let home = currentThread()
            let actor = PlainActor()
            #expect(await actor.threads(sleepingOn: loop) == [home, home, home, home])
            #expect(currentThread() == home)
        }
    }

    // covers: 91
    @Test(arguments: TestLoop.all)
    func actorOnTheLoopPassesTheCheckOfItsIsolation(kind: TestLoop) async throws {
        try await withLoop(kind, patiently) { loop in
            let home = currentThread()
            let actor = LoopActor(loop)
            #expect(await actor.threads() == [home, home, home, home])
            #expect(currentThread() == home)
            // In a task of the pool as well.
            #expect(await Task.detached { await actor.thread() }.value == home)
            #expect(await Task.detached { actor.loop.isOnLoop }.value == false)
        }
    }

    @Test(arguments: TestLoop.all)
    func serialExecutorIsTheSameForEveryThread(kind: TestLoop) async throws {
        try await withLoop(kind, patiently) { loop in
            let executors = await withTaskGroup(of: ObjectIdentifier.self) { group in
                for _ in 0..<8 {
                    group.addTask(executorPreference: globalConcurrentExecutor) {
                        ObjectIdentifier(loop.serialExecutor)
                    }
                }
                return await group.reduce(into: Set()) { $0.insert($1) }
            }
            #expect(executors == [ObjectIdentifier(loop.serialExecutor)])
        }
    }

    /// Swift has no way to make an unstructured task inherit the executor.
    @Test(arguments: TestLoop.all)
    func unstructuredTasksRunOnThePool(kind: TestLoop) async throws {
        try await withLoop(kind, patiently) { _ in
            let home = currentThread()
            #expect(await Task { currentThread() }.value != home)
            #expect(currentThread() == home)
            #expect(await Task.detached { currentThread() }.value != home)
            #expect(currentThread() == home)
        }
    }

    @Test(arguments: TestLoop.all)
    func immediateTaskLeavesTheLoopAtItsFirstSuspensionUnlessItPrefersTheLoop(kind: TestLoop) async throws {
        guard #available(macOS 26, *) else { return }
        try await withLoop(kind, patiently) { loop in
            let home = currentThread()
            let plain = Task.immediate {
                let first = currentThread()
                // A yield may end before the task suspends. This ends in a later iteration, so the task does suspend.
                await withUnsafeContinuation { continuation in
                    _ = loop.callSoon { continuation.resume() }
                }
                return [first, currentThread()]
            }
            let preferring = Task.immediate(executorPreference: loop) {
                let first = currentThread()
                await Task.yield()
                return [first, currentThread()]
            }
            let threads = await plain.value
            #expect(threads[0] == home)
            #expect(threads[1] != home)
            #expect(await preferring.value == [home, home])
            #expect(currentThread() == home)
        }
    }

    // covers: 91, 109
    @Test(arguments: TestLoop.all)
    func suspendedTasksResumeOnTheLoop(kind: TestLoop) async throws {
        try await withLoop(kind, patiently) { loop in
            let home = currentThread()
            await Task.yield()
            #expect(currentThread() == home)
            await loop.yield()
            #expect(currentThread() == home)
            try await Task.sleep(for: .microseconds(10))
            #expect(currentThread() == home)
            try await Task.sleep(for: .microseconds(10), clock: loop.clock)
            #expect(currentThread() == home)
            try await loop.sleep(for: .microseconds(10))
            #expect(currentThread() == home)
            #expect(loop.statistics.hops == 0)

            await withCheckedContinuation { continuation in
                _ = OtherThread { continuation.resume() }
            }
            #expect(currentThread() == home)

            let (numbers, source) = AsyncStream.makeStream(of: Int.self)
            _ = OtherThread {
                for number in 0..<100 { source.yield(number) }
                source.finish()
            }
            var sum = 0
            for await number in numbers {
                sum += number
                #expect(currentThread() == home)
            }
            #expect(sum == 4950)
            #expect(currentThread() == home)
        }
    }

    @Test(arguments: TestLoop.all)
    func taskReturnsToTheLoopAfterAnotherPreference(kind: TestLoop) async throws {
        try await withLoop(kind, patiently) { loop in
            let home = currentThread()
            let other = await withTaskExecutorPreference(globalConcurrentExecutor) { await threadOfConcurrent() }
            #expect(other != home)
            #expect(currentThread() == home)
            #expect(await withTaskExecutorPreference(nil) { await threadOfConcurrent() } == home)
            #expect(loop.isOnLoop)
        }
    }

    /// The loop's operations hop for a task that prefers another executor.
    @Test(arguments: TestLoop.all)
    func operationOfATaskOffTheLoopRunsOnTheLoopAndIsCounted(kind: TestLoop) async throws {
        try await withLoop(kind, patiently) { loop in
            let home = currentThread()
            let threads = try await Task.detached {
                let before = currentThread()
                try await loop.sleep(for: .microseconds(10))
                return [before, currentThread()]
            }.value
            #expect(!threads.contains(home))
            #expect(loop.statistics.hops == 1)
            #expect(loop.statistics.suspensions >= 1)
        }
    }

    @Test(arguments: TestLoop.all)
    func eachWaitIsOneSuspension(kind: TestLoop) async throws {
        try await withLoop(kind, patiently) { loop in
            let before = loop.statistics.suspensions
            for _ in 0..<100 { try await loop.sleep(for: .nanoseconds(1)) }
            #expect(loop.statistics.suspensions - before == 100)
        }
    }

    // covers: 90
    @Test(arguments: TestLoop.all)
    func taskLocalValuesBelongToTheirTasks(kind: TestLoop) async throws {
        try await withLoop(kind, patiently) { loop in
            let tasks: (Task<String, Never>, Task<String, Never>) = try await Locals.$name.withValue("outer") {
                let outer = loop.createTask { Locals.name }
                let inner = Locals.$name.withValue("inner") { loop.createTask { Locals.name } }
                try await loop.sleep(for: .nanoseconds(1))
                return (outer, inner)
            }
            #expect(await tasks.0.value == "outer")
            #expect(await tasks.1.value == "inner")
            #expect(Locals.name == "none")
        }
    }
}

/// The other rows of the table of what runs where.
extension LoopExecutorTests {
    @Test(arguments: TestLoop.all)
    func continuationResumedWithinItsClosureDoesNotSuspend(kind: TestLoop) async throws {
        try await withLoop(kind, patiently) { loop in
            let home = currentThread()
            var order: [String] = []
            loop.callSoon { order.append("next tick") }
            for _ in 0..<100 { await withUnsafeContinuation { $0.resume() } }
            for number in 0..<100 {
                #expect(await withCheckedContinuation { $0.resume(returning: number) } == number)
            }
            #expect(currentThread() == home)
            // Still in the same iteration.
            #expect(order == [])
            await loop.yield()
            #expect(order == ["next tick"])
        }
    }

    /// One loop after the other, because the thread that holds an actor also runs what waits for it.
    // covers: 91
    @Test(.serialized, arguments: TestLoop.all)
    func globalActorWithTheDefaultExecutorRunsOnTheLoop(kind: TestLoop) async throws {
        try await withLoop(kind, patiently) { loop in
            let home = currentThread()
            let threads = await GlobalPlainActor.threads(sleepingOn: loop)
            #expect(threads == [home, home, home])
            #expect(currentThread() == home)
        }
    }

    /// The main queue is not served by this loop: a task hops to it and returns. `Tests/UserPackages` has a loop that
    /// serves it.
    // covers: 91
    @Test(arguments: TestLoop.all)
    func mainActorFunctionLeavesALoopOffTheMainThreadAndReturns(kind: TestLoop) async throws {
        try await withLoop(kind, patiently) { loop in
            let home = currentThread()
            for _ in 0..<10 {
                let there = await whereTheMainActorIs(loop)
                #expect(!there.isOnLoop)
                #expect(there.thread != home)
                #expect(currentThread() == home)
                #expect(loop.isOnLoop)
            }
        }
    }
}

@MainActor private func whereTheMainActorIs(
    _ loop: EventLoop
) async -> (thread: UInt, isOnLoop: Bool) {
    (currentThread(), loop.isOnLoop)
}

@globalActor private actor GlobalPlainActor {
    static let shared = GlobalPlainActor()

    @GlobalPlainActor static func threads(sleepingOn loop: EventLoop) async -> [UInt] {
        let first = currentThread()
        try? await loop.sleep(for: .nanoseconds(1))
        return [first, currentThread(), await threadOfConcurrent()]
    }
}

private enum Locals {
    @TaskLocal static var name = "none"
}

private func threadOfNonisolated() async -> UInt { currentThread() }

@concurrent private func threadOfConcurrent() async -> UInt { currentThread() }

@concurrent private func threadsOfNestedChildren() async -> [UInt] {
    async let first = threadOfConcurrent()
    async let second = Task.yield()
    await second
    return [await first, currentThread(), await threadOfNonisolated()]
}

private actor PlainActor {
    func threads(sleepingOn loop: EventLoop) async -> [UInt] {
        let first = currentThread()
        try? await loop.sleep(for: .nanoseconds(1))
        let second = currentThread()
        return [first, second, await threadOfConcurrent(), currentThread()]
    }
}

private actor LoopActor {
    nonisolated let loop: EventLoop

    init(_ loop: EventLoop) {
        self.loop = loop
    }

    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.serialExecutor.asUnownedSerialExecutor() }

    func thread() -> UInt {
        preconditionIsolated()
        return currentThread()
    }

    func threads() async -> [UInt] {
        preconditionIsolated()
        let first = thread()
        try? await loop.sleep(for: .nanoseconds(1))
        let second = thread()
        await Task.yield()
        return [first, second, await threadOfConcurrent(), thread()]
    }
}
