import AsyncIO
import AsyncIOTesting
import Testing

struct QueueTests {
    // covers: 318
    @Test(arguments: TestLoop.all)
    func itemsComeInTheOrderOfTheQueue(kind: TestLoop) async throws {
        struct Job: Equatable {
            var priority: Int
            var name: String
        }
        try await withLoop(kind) { _ in
            let numbers = [3, 1, 4, 1, 5, 9, 2, 6]
            func drained(_ queue: Queue<Int>) async throws -> [Int] {
                for number in numbers { try await queue.put(number) }
                #expect(queue.count == numbers.count && !queue.isFull)
                var taken: [Int] = []
                while !queue.isEmpty { taken.append(try queue.getNowait()) }
                return taken
            }
            let (fifo, lifo, sorted) = (Queue<Int>(), LifoQueue<Int>(), PriorityQueue<Int>())
            for _ in 0..<3 {
                let taken = [try await drained(fifo), try await drained(lifo), try await drained(sorted)]
                #expect(taken == [numbers, numbers.reversed(), numbers.sorted()])
            }
            // Items of one priority keep their order.
            let jobs = PriorityQueue<Job> { $0.priority < $1.priority }
            for (index, priority) in [2, 1, 2, 1, 1, 2].enumerated() {
                try await jobs.put(Job(priority: priority, name: "\(index)"))
            }
            var names = ""
            while !jobs.isEmpty { names += try await jobs.get().name }
            #expect(names == "134025")
        }
    }

    // covers: 318
    @Test(arguments: TestLoop.all)
    func callsThatDoNotWaitThrowIfTheyWouldHaveTo(kind: TestLoop) async throws {
        try await withLoop(kind) { _ in
            let queue = Queue<Int>(maxSize: 2)
            #expect(queue.maxSize == 2 && queue.isEmpty)
            #expect(code { _ = try queue.getNowait() } == .queueEmpty)
            try queue.putNowait(1)
            try queue.putNowait(2)
            #expect(queue.isFull)
            #expect(code { try queue.putNowait(3) } == .queueFull)
            #expect("\(queue)" == "<Queue<Int> 2 items of 2, 2 unfinished>")
            #expect(try queue.getNowait() == 1)
            try queue.putNowait(3)
            #expect(try queue.getNowait() == 2)
            #expect(try queue.getNowait() == 3)
        }
    }

    // covers: 318
    @Test(arguments: TestLoop.all)
    func putWaitsForRoomAndGetForAnItem(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let queue = Queue<Int>(maxSize: 2)
            var put: [Int] = []
            let producer = loop.createTask {
                for number in 0..<6 {
                    try await queue.put(number)
                    put.append(number)
                }
            }
            for _ in 0..<3 { await loop.yield() }
            #expect(put == [0, 1])
            var taken: [Int] = []
            for count in 1...6 {
                taken.append(try await queue.get())
                for _ in 0..<3 { await loop.yield() }
                #expect(put.count == min(count + 2, 6))
            }
            try await producer.value
            #expect(taken == Array(0..<6))
            let consumer = loop.createTask { try await queue.get() }
            await loop.yield()
            try await queue.put(7)
            let last = try await consumer.value
            #expect(last == 7)
        }
    }

    // covers: 318
    @Test(arguments: TestLoop.all)
    func tasksThatWaitAreServedInTheOrderOfTheirCalls(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let queue = Queue<Int>(maxSize: 1)
            let outcomes = Outcomes()
            for number in 0..<3 { loop.createTask { await outcomes.note(number) { "\(try await queue.get())" } } }
            await loop.yield()
            try queue.putNowait(10)
            // The item is reserved for the first task.
            #expect(queue.isEmpty && queue.isFull)
            #expect(code { _ = try queue.getNowait() } == .queueEmpty)
            #expect(code { try queue.putNowait(11) } == .queueFull)
            let late = loop.createTask { try await queue.get() }
            for number in 11...13 { try await queue.put(number) }
            let lateItem = try await late.value
            #expect(outcomes.texts == [0: "10", 1: "11", 2: "12"] && lateItem == 13)

            // Items enter in the order of the calls, also when much room comes at once.
            try await queue.put(0)
            for number in 1...3 { loop.createTask { await outcomes.note(number) { "\(try await queue.put(number))" } } }
            await loop.yield()
            var taken = [try queue.getNowait()]
            #expect(code { try queue.putNowait(4) } == .queueFull)
            for _ in 0..<3 { taken.append(try await queue.get()) }
            #expect(taken == [0, 1, 2, 3])
        }
    }

    @Test(arguments: TestLoop.all)
    func consumersGetItemsAlternately(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let queue = Queue<Int>()
            var taken: [[Int]] = [[], []]
            let consumers = (0..<2).map { number in
                loop.createTask { for try await item in queue.items { taken[number].append(item) } }
            }
            await loop.yield()
            for number in 0..<10 { try queue.putNowait(number) }
            queue.shutDown()
            for consumer in consumers { try await consumer.value }
            #expect(taken == [[0, 2, 4, 6, 8], [1, 3, 5, 7, 9]])
        }
    }

    // covers: 318
    @Test(arguments: TestLoop.all)
    func joinWaitsUntilEveryItemIsDone(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let queue = Queue<Int>()
            #expect(code { try queue.taskDone() } == .invalidState)
            try await queue.join()
            var hasJoined = false
            try await queue.put(1)
            try await queue.put(2)
            let joining = loop.createTask {
                try await queue.join()
                hasJoined = true
            }
            let cancelled = loop.createTask { try await queue.join() }
            await loop.yield()
            cancelled.cancel()
            let wasCancelled = await isCancelled(cancelled)
            for _ in 0..<2 {
                _ = try await queue.get()
                await loop.yield()
                #expect(wasCancelled && !hasJoined)
                try queue.taskDone()
            }
            try await joining.value
            #expect(code { try queue.taskDone() } == .invalidState)
        }
    }

    // covers: 318
    @Test(arguments: TestLoop.all)
    func queueIsFilledBeforeItsLoopRunsAndEmptiedAfterwards(kind: TestLoop) async throws {
        try await withLoopThread(kind) { loop in
            let queue = Queue<Int>()
            for number in 0..<3 { try queue.putNowait(number) }
            nonisolated(unsafe) let shared = queue
            let first = try loop.runUntilComplete { try await shared.get() }
            #expect(first == 0 && queue.count == 2)
            #expect(try queue.getNowait() == 1)
            try loop.close()
            #expect(try queue.getNowait() == 2)
        }
    }
}
