import AsyncIO
import AsyncIOTesting
import Testing

struct EventTests {
    // covers: 314
    @Test(arguments: TestLoop.all)
    func setResumesAllTasksInOrderAndLaterWaitsReturnAtOnce(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let event = Event()
            var order: [Int] = []
            let tasks = (0..<3).map { number in
                loop.createTask {
                    try await event.wait()
                    order.append(number)
                }
            }
            await loop.yield()
            #expect(!event.isSet && "\(event)" == "<Event unset, 3 waiting>")
            event.set()
            event.set()
            #expect(event.isSet && order.isEmpty)
            for task in tasks { try await task.value }
            #expect(order == [0, 1, 2])
            let suspensions = loop.statistics.suspensions
            try await event.wait()
            #expect(loop.statistics.suspensions == suspensions)
        }
    }

    // covers: 314
    @Test(arguments: TestLoop.all)
    func clearedEventIsWaitedForAgain(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let event = Event()
            let first = loop.createTask { try await event.wait() }
            await loop.yield()
            // The first task was resumed, so it does not matter that the event is cleared before it runs.
            event.set()
            event.clear()
            let second = loop.createTask { try await event.wait() }
            try await first.value
            await loop.yield()
            #expect(!event.isSet && "\(event)" == "<Event unset, 1 waiting>")
            event.set()
            try await second.value
        }
    }

    // covers: 314, F65
    @Test(arguments: TestLoop.all)
    func cancelledTaskDoesNotWaitAndTheOthersDo(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let event = Event()
            let tasks = (0..<3).map { _ in loop.createTask { try await event.wait() } }
            await loop.yield()
            tasks[0].cancel()
            let isFirstCancelled = await isCancelled(tasks[0])
            #expect(isFirstCancelled && "\(event)" == "<Event unset, 2 waiting>")
            event.set()
            // In the iteration in which it was resumed.
            tasks[1].cancel()
            let isSecondCancelled = await isCancelled(tasks[1])
            #expect(isSecondCancelled)
            try await tasks[2].value
        }
    }

    // covers: 34
    @Test(arguments: TestLoop.all)
    func closingTheLoopEndsWaits(kind: TestLoop) async throws {
        try await withLoopThread(kind, LoopTestOptions(allowsLeftoverWork: true)) { loop in
            nonisolated(unsafe) let event = Event()
            nonisolated(unsafe) let condition = Condition()
            nonisolated(unsafe) let barrier = Barrier(parties: 2)
            nonisolated(unsafe) let queue = Queue<Int>()
            let outcomes = Outcomes()
            nonisolated(unsafe) let noted = outcomes
            try loop.runUntilComplete {
                Task(executorPreference: loop) {
                    await noted.note(0) {
                        try await event.wait()
                        return "set"
                    }
                }
                Task(executorPreference: loop) {
                    await noted.note(1) {
                        try await condition.withLock { try await condition.wait() }
                        return "notified"
                    }
                }
                Task(executorPreference: loop) { await noted.note(2) { "\(try await barrier.wait())" } }
                Task(executorPreference: loop) { await noted.note(3) { "\(try await queue.get())" } }
                while loop.statistics.waitingTasks < 4 { await loop.yield() }
            }
            try loop.close()
            #expect(outcomes.texts == [0: "closed", 1: "closed", 2: "closed", 3: "closed"])
            // What does not wait still works on the thread of the loop.
            try queue.putNowait(1)
            #expect(try queue.getNowait() == 1)
            event.set()
            #expect(event.isSet && !condition.isLocked)
        }
    }
}
