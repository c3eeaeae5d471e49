import AsyncIO

extension Operation {
    /// Locks and queues. Those without "waiting" in their names never suspend.
    static let ofCoordination = [
        Operation("lock") { _, count in
            let lock = Lock()
            for _ in 0..<count {
                try await lock.acquire()
                try lock.release()
            }
        },
        Operation("lock-scope") { _, count in
            let lock = Lock()
            let counter = Counter()
            for _ in 0..<count {
                try await lock.withLock { counter.value += 1 }
            }
        },
        // The lock goes to and fro between two tasks, so that each of them waits.
        Operation("lock-waiting") { loop, count in
            let lock = Lock()
            let other = loop.createTask {
                for _ in 0..<count / 2 {
                    try await lock.acquire()
                    await loop.yield()
                    try lock.release()
                }
            }
            for _ in 0..<count / 2 {
                try await lock.acquire()
                await loop.yield()
                try lock.release()
            }
            try await other.value
        },
        Operation("semaphore") { _, count in
            let semaphore = Semaphore(2)
            for _ in 0..<count {
                try await semaphore.acquire()
                try semaphore.release()
            }
        },
        Operation("event") { _, count in
            let event = Event()
            for _ in 0..<count {
                event.set()
                try await event.wait()
                event.clear()
            }
        },
        Operation("condition") { _, count in
            let condition = Condition()
            for _ in 0..<count {
                try await condition.acquire()
                try await condition.wait { true }
                try condition.notify()
                try condition.release()
            }
        },
        Operation("queue") { _, count in
            let queue = Queue<Int>()
            for number in 0..<count {
                try await queue.put(number)
                _ = try await queue.get()
            }
        },
        // One item at a time, so that the task that gets waits for each.
        Operation("queue-waiting") { loop, count in
            let queue = Queue<Int>(maxSize: 1)
            let consumer = loop.createTask {
                for _ in 0..<count { _ = try await queue.get() }
            }
            for number in 0..<count { try await queue.put(number) }
            try await consumer.value
        },
        Operation("queue-sorted") { _, count in
            let queue = PriorityQueue<Int>()
            for number in 0..<count {
                try await queue.put(number)
                _ = try await queue.get()
            }
        },
    ]
}
