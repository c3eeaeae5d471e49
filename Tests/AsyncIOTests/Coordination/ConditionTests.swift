import AsyncIO
import AsyncIOTesting
import Testing

struct ConditionTests {
    // covers: 315
    @Test(arguments: TestLoop.all)
    func notifiedTasksContinueInOrderWithTheLock(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let condition = Condition()
            var order: [Int] = []
            let tasks = (0..<5).map { number in
                loop.createTask {
                    try await condition.withLock {
                        try await condition.wait()
                        #expect(condition.isLocked)
                        order.append(number)
                    }
                }
            }
            await loop.yield()
            #expect("\(condition)" == "<Condition unlocked, 5 waiting>")
            try await condition.acquire()
            try condition.notify()
            try condition.notify(2)
            for _ in 0..<3 { await loop.yield() }
            // They wait for the lock.
            #expect(order.isEmpty)
            try condition.release()
            for _ in 0..<5 { await loop.yield() }
            #expect(order == [0, 1, 2])
            try await condition.withLock { try condition.notifyAll() }
            for task in tasks { try await task.value }
            #expect(order == [0, 1, 2, 3, 4])
            #expect(!condition.isLocked)
        }
    }

    // covers: 315
    @Test(arguments: TestLoop.all)
    func waitAndNotifyNeedTheLock(kind: TestLoop) async throws {
        try await withLoop(kind) { _ in
            let condition = Condition()
            #expect(await asyncCode { try await condition.wait() } == .invalidState)
            #expect(code { try condition.notify() } == .invalidState)
            #expect(code { try condition.notifyAll() } == .invalidState)
            #expect(code { try condition.release() } == .invalidState)
        }
    }

    // covers: 315
    @Test(arguments: TestLoop.all)
    func cancelledWaitAcquiresTheLockAgainFirst(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let condition = Condition()
            var hasEnded = false
            let task = loop.createTask {
                try await condition.withLock {
                    await #expect(throws: CancellationError.self) { try await condition.wait() }
                    #expect(condition.isLocked)
                    hasEnded = true
                }
            }
            await loop.yield()
            try await condition.acquire()
            task.cancel()
            for _ in 0..<3 { await loop.yield() }
            // It waits for the lock, and a further cancellation changes nothing.
            #expect(!hasEnded)
            task.cancel()
            await loop.yield()
            #expect(!hasEnded)
            try condition.release()
            try await task.value
            #expect(hasEnded && !condition.isLocked)
        }
    }

    // covers: 315, F65
    @Test(arguments: TestLoop.all)
    func notificationOfACancelledTaskGoesToTheNext(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            // Cancelled before the notification, in the same iteration, and while it waits for the lock.
            for moment in 0..<3 {
                let condition = Condition()
                let tasks = (0..<2).map { _ in
                    loop.createTask { try await condition.withLock { try await condition.wait() } }
                }
                await loop.yield()
                try await condition.acquire()
                if moment == 0 { tasks[0].cancel() }
                try condition.notify()
                if moment == 1 { tasks[0].cancel() }
                if moment == 2 {
                    await loop.yield()
                    tasks[0].cancel()
                }
                try condition.release()
                let isFirstCancelled = await isCancelled(tasks[0])
                #expect(isFirstCancelled)
                try await tasks[1].value
                #expect(!condition.isLocked)
            }
        }
    }

    @Test(arguments: TestLoop.all)
    func waitForAPredicateChecksItWithTheLock(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let condition = Condition()
            var value = 0
            var checks = 0
            let task = loop.createTask {
                try await condition.withLock {
                    try await condition.wait {
                        checks += 1
                        #expect(condition.isLocked)
                        return value >= 2
                    }
                    return value
                }
            }
            await loop.yield()
            for _ in 0..<3 {
                try await condition.withLock {
                    value += 1
                    try condition.notifyAll()
                }
                for _ in 0..<3 { await loop.yield() }
            }
            let seen = try await task.value
            #expect(seen == 2 && checks == 3)
            // A predicate that is true does not wait.
            try await condition.withLock { try await condition.wait { true } }
        }
    }

    @Test(arguments: TestLoop.all)
    func twoConditionsShareALock(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let lock = Lock()
            let (notEmpty, notFull) = (Condition(lock), Condition(lock))
            var items: [Int] = []
            var taken: [Int] = []
            let consumer = loop.createTask {
                for _ in 0..<20 {
                    try await lock.withLock {
                        try await notEmpty.wait { !items.isEmpty }
                        taken.append(items.removeFirst())
                        try notFull.notify()
                    }
                }
            }
            for number in 0..<20 {
                try await lock.withLock {
                    try await notFull.wait { items.count < 2 }
                    items.append(number)
                    try notEmpty.notify()
                }
            }
            try await consumer.value
            #expect(taken == Array(0..<20))
        }
    }
}
