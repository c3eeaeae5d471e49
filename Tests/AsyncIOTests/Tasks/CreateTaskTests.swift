import AsyncIO
import AsyncIOTesting
import Testing

struct CreateTaskTests {
    // covers: 69
    @Test func aTaskBeginsInTheNextTickAndAnEagerOneAtOnce() async throws {
        try await withLoop(makeLoop: VirtualLoop.init) { loop in
            var steps: [String] = []
            func note(_ text: String) { steps.append("\(text) \(loop.virtualSelector.waits - start)") }
            let start = loop.virtualSelector.waits
            let task = loop.createTask { note("task") }
            let eager = loop.createTask(eagerStart: true) {
                note("eager")
                await loop.yield()
                note("eager again")
            }
            loop.callSoon { note("callback") }
            note("creator")
            try await task.value
            try await eager.value
            #expect(steps == ["eager 0", "creator 0", "task 1", "eager again 1", "callback 1"])
        }
    }

    // covers: 69
    @Test func aTaskCanBeMadeBeforeTheRun() async throws {
        try await withLoopThread { loop in
            var order: [String] = []
            loop.callSoon { order.append("first") }
            loop.createTask {
                order.append("task on the loop: \(loop.isOnLoop)")
                loop.stop()
            }
            loop.callSoon { order.append("last") }
            #expect(order == [])
            try loop.runForever()
            #expect(order == ["first", "task on the loop: true", "last"])
        }
    }

    @Test func anEagerTaskMadeBeforeTheRunRunsUpToItsFirstSuspension() async throws {
        try await withLoopThread { loop in
            var order: [String] = []
            loop.createTask(eagerStart: true) {
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

    // covers: 71
    @Test func aTaskCancelledBeforeItsFirstStepSeesThatAtOnce() async throws {
        try await withLoop { loop in
            let task = loop.createTask {
                #expect(Task.isCancelled)
                try await loop.sleep(for: .seconds(3600))
            }
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
        }
    }

    // covers: 74
    @Test func aTaskMayIgnoreItsCancellation() async throws {
        try await withLoop { loop in
            let task = loop.createTask {
                try? await loop.sleep(for: .seconds(3600))
                return "went on"
            }
            await loop.yield()
            task.cancel()
            let value = try await task.value
            #expect(value == "went on")
        }
    }

    // covers: 72
    @Test func aCancellationEndsTheWaitWithinOneTick() async throws {
        try await withLoop(makeLoop: VirtualLoop.init) { loop in
            var endedAfter: Int?
            let start = loop.virtualSelector.waits
            let task = loop.createTask {
                try? await loop.sleep(for: .seconds(3600))
                endedAfter = loop.virtualSelector.waits
            }
            await loop.yield()
            task.cancel()
            await loop.yield()
            #expect(endedAfter == start + 2)
            try await task.value
        }
    }

    // covers: 73
    @Test func theCancellationOfATaskReachesItsChildren() async throws {
        try await withLoop { loop in
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
    @Test func theFirstErrorOfAGroupCancelsTheOthersAndNothingOutlivesIt() async throws {
        struct Failure: Error {}
        try await withLoop { loop in
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

    @Test func tasksAreCountedUntilTheyEnd() async throws {
        try await withLoop { loop in
            let before = loop.taskCount
            let tasks = (0..<10).map { number in loop.createTask { await loop.yield() } }
            #expect(loop.taskCount == before + 10)
            for task in tasks { try await task.value }
            #expect(loop.taskCount == before)
        }
    }

    // covers: 70
    @Test func theOperationIsReleasedWhenTheTaskHasEnded() async throws {
        final class Thing {}
        try await withLoop { loop in
            weak var captured: Thing?
            let task = {
                let thing = Thing()
                captured = thing
                return loop.createTask { withExtendedLifetime(thing) {} }
            }()
            #expect(captured != nil)
            try await task.value
            await loop.yield()
            #expect(captured == nil)
        }
    }
}
