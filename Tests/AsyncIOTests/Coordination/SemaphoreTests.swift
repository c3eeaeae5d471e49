import AsyncIO
import AsyncIOTesting
import Testing

struct SemaphoreTests {
    // covers: 316
    @Test(arguments: TestLoop.all)
    func permitsAreGivenInTheOrderOfTheCalls(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let semaphore = Semaphore(0)
            var order: [Int] = []
            let tasks = (0..<3).map { number in
                loop.createTask {
                    try await semaphore.acquire()
                    order.append(number)
                    await loop.yield()
                    try semaphore.release()
                }
            }
            await loop.yield()
            #expect(semaphore.isLocked)
            try semaphore.release()
            for task in tasks { try await task.value }
            #expect(order == [0, 1, 2])
            #expect("\(semaphore)" == "<Semaphore value=1>")
        }
    }

    // covers: 316
    @Test(arguments: TestLoop.all)
    func noMoreTasksThanPermitsAreInside(kind: TestLoop) async throws {
        try await withVirtualLoop(kind) { loop in
            let semaphore = Semaphore(3)
            var inside = 0
            var most = 0
            try await withLoopTaskGroup { group in
                for number in 0..<20 {
                    group.createTask {
                        try await semaphore.withPermit {
                            inside += 1
                            most = max(most, inside)
                            try await loop.sleep(for: .milliseconds(number % 5))
                            inside -= 1
                        }
                    }
                }
            }
            #expect(most == 3 && inside == 0)
            #expect(!semaphore.isLocked)
        }
    }

    // covers: 316
    @Test(arguments: TestLoop.all)
    func noTaskOvertakesOneThatWaits(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let semaphore = Semaphore(1)
            var order: [String] = []
            try await semaphore.acquire()
            let waiting = loop.createTask { try await semaphore.withPermit { order.append("waiting") } }
            await loop.yield()
            try semaphore.release()
            #expect(semaphore.isLocked)
            try await semaphore.withPermit { order.append("late") }
            try await waiting.value
            #expect(order == ["waiting", "late"])
        }
    }

    // covers: 316, F65
    @Test(arguments: TestLoop.all)
    func permitOfACancelledTaskGoesToTheNext(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            // Cancelled before the release: the first two are skipped.
            let skipped = Semaphore(0)
            let tasks = (0..<4).map { _ in loop.createTask { try await skipped.acquire() } }
            await loop.yield()
            tasks[0].cancel()
            tasks[1].cancel()
            try skipped.release()
            try await tasks[2].value
            #expect("\(skipped)" == "<Semaphore value=0, 1 waiting>")
            tasks[3].cancel()
            let ends = [await isCancelled(tasks[0]), await isCancelled(tasks[1]), await isCancelled(tasks[3])]
            #expect(ends == [true, true, true])

            // Cancelled after it: the permit is passed on, and the body of the cancelled task does not run.
            let passed = Semaphore(1)
            try await passed.acquire()
            let chosen = loop.createTask {
                try await passed.withPermit { Issue.record("the body of a cancelled task") }
            }
            let next = loop.createTask { try await passed.acquire() }
            await loop.yield()
            try passed.release()
            chosen.cancel()
            try await next.value
            let wasCancelled = await isCancelled(chosen)
            #expect(wasCancelled && passed.isLocked)
        }
    }

    // covers: 316
    @Test(arguments: TestLoop.all)
    func boundedSemaphoreRefusesTooManyReleases(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let bounded = BoundedSemaphore(2)
            #expect(code { try bounded.release() } == .invalidState)
            try await bounded.acquire()
            try bounded.release()
            #expect(code { try bounded.release() } == .invalidState)
            // A permit that goes to a task that waits is not available, so it does not count.
            try await bounded.acquire()
            try await bounded.acquire()
            let task = loop.createTask { try await bounded.acquire() }
            await loop.yield()
            try bounded.release()
            try await task.value
            try bounded.release()
            try bounded.release()
            #expect(code { try bounded.release() } == .invalidState)
            #expect("\(bounded)" == "<BoundedSemaphore value=2>")
            // The other kind gets more permits.
            let unbounded = Semaphore()
            try unbounded.release()
            #expect("\(unbounded)" == "<Semaphore value=2>")
        }
    }
}
