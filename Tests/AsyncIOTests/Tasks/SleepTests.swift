import AsyncIO
import AsyncIOSystem
import AsyncIOTesting
import Testing

struct SleepTests {
    // covers: 46
    @Test(arguments: TestLoop.all)
    func sleepNeverEndsEarly(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            for delay in [Duration.nanoseconds(1), .microseconds(7), .microseconds(300), .milliseconds(2)] {
                let start = loop.now
                try await loop.sleep(for: delay)
                #expect(start.duration(to: loop.now) >= delay)
                try await Task.sleep(for: delay, clock: loop.clock)
                #expect(start.duration(to: loop.now) >= delay * 2)
            }
        }
    }

    // covers: 48
    @Test(arguments: TestLoop.all)
    func sleepersWakeInTheOrderOfTheirDeadlines(kind: TestLoop) async throws {
        try await withVirtualLoop(kind) { loop in
            var order: [Int] = []
            var tasks: [Task<Void, any Error>] = []
            for milliseconds in [30, 10, 20, 10] {
                tasks.append(
                    loop.createTask {
                        try await loop.sleep(for: .milliseconds(milliseconds))
                        order.append(milliseconds)
                    })
            }
            for task in tasks { try await task.value }
            #expect(order == [10, 10, 20, 30])
            #expect(loop.now.nanoseconds == 30_000_000)
        }
    }

    /// As in asyncio, and not two iterations, as with a timer.
    @Test(arguments: TestLoop.all)
    func sleepOfZeroOrLessIsOneIteration(kind: TestLoop) async throws {
        try await withVirtualLoop(kind) { loop in
            for delay in [Duration.zero, .seconds(-1)] {
                let before = loop.statistics.ticks
                try await loop.sleep(for: delay)
                #expect(loop.statistics.ticks - before == 1)
            }
            let task = Task(executorPreference: loop) {
                let before = loop.statistics.ticks
                try await loop.sleep(for: .zero)
                await loop.yield()
                return loop.statistics.ticks - before
            }
            #expect(try await task.value == 2)
        }
    }

    // covers: 71, 76
    @Test(arguments: TestLoop.all)
    func cancelledTaskDoesNotSleep(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let task = loop.createTask {
                withUnsafeCurrentTask { $0?.cancel() }
                for delay in [Duration.seconds(3600), .zero] {
                    await #expect(throws: CancellationError.self) { try await loop.sleep(for: delay) }
                }
                return loop.statistics.timers
            }
            _ = await task.value
            #expect(loop.statistics.callbacks == 0)
        }
    }

    // covers: 49
    @Test(arguments: TestLoop.all)
    func cancellationEndsASleepWithoutLimit(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let task = loop.createTask { try await loop.sleep(until: .distantFuture) }
            await loop.yield()
            #expect(loop.statistics.waitingTasks == 1)
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
            #expect(loop.statistics.waitingTasks == 0)
        }
    }
}
