import AsyncIO
import AsyncIOTesting
import Testing

/// Random cancellations among many tasks. What must hold is checked at the end, when nothing moves any more.
struct CoordinationStressTests {
    // covers: 313, 319, F65
    @Test(arguments: TestLoop.all)
    func randomCancellationsStrandNoTaskAndLoseNoItem(kind: TestLoop) async throws {
        try await withVirtualLoop(kind, patiently) { loop in
            for seed in 0..<UInt64(rounds(debug: 10, full: 100)) {
                var random = SeededGenerator(seed: seed)
                let (queue, lock) = (Queue<Int>(maxSize: 3), Lock())
                var inside = 0
                var (added, removed): ([Int], [Int]) = ([], [])
                var tasks = (0..<30).map { number in
                    loop.createTask {
                        try await loop.sleep(for: .milliseconds(number % 7))
                        try await queue.put(number)
                        added.append(number)
                    }
                }
                tasks += (0..<20).map { number in
                    loop.createTask {
                        try await loop.sleep(for: .milliseconds(number % 5))
                        removed.append(try await queue.get())
                        try await lock.withLock {
                            inside += 1
                            defer { inside -= 1 }
                            #expect(inside == 1)
                            try await loop.sleep(for: .milliseconds(1))
                        }
                    }
                }
                for task in tasks.shuffled(using: &random).prefix(25) {
                    if Bool.random(using: &random) { try await loop.sleep(for: .milliseconds(1)) }
                    task.cancel()
                }
                // The other tasks end, whether more of them put or get.
                while loop.statistics.tasks > 1 {
                    try await loop.sleep(for: .milliseconds(50))
                    if let item = try? queue.getNowait() { removed.append(item) } else { try queue.putNowait(-1) }
                }
                while let item = try? queue.getNowait() { removed.append(item) }
                #expect(removed.filter { $0 >= 0 }.sorted() == added.sorted(), "seed \(seed)")
                #expect(!lock.isLocked && inside == 0, "seed \(seed)")
            }
        }
    }

    // covers: 315, F65
    @Test(arguments: TestLoop.all)
    func noNotificationIsLostWhileATaskWaits(kind: TestLoop) async throws {
        try await withLoop(kind, patiently) { loop in
            for seed in 0..<UInt64(rounds(debug: 30, full: 200)) {
                var random = SeededGenerator(seed: seed)
                let condition = Condition()
                var (notified, ended) = (0, 0)
                let tasks = (0..<12).map { _ in
                    loop.createTask {
                        defer { ended += 1 }
                        try await condition.withLock {
                            try await condition.wait()
                            notified += 1
                        }
                    }
                }
                await loop.yield()
                var sent = 0
                for _ in 0..<20 {
                    switch Int.random(in: 0..<4, using: &random) {
                    case 0 where sent < 4:
                        try await condition.withLock {
                            try condition.notify()
                            // In the iteration of the notification, or while its task waits for the lock.
                            if Bool.random(using: &random) { await loop.yield() }
                            tasks[Int.random(in: 0..<6, using: &random)].cancel()
                        }
                        sent += 1
                    case 1: tasks[Int.random(in: 0..<6, using: &random)].cancel()
                    default: await loop.yield()
                    }
                }
                for _ in 0..<20 { await loop.yield() }
                // At most six were cancelled and four notified, so some still wait.
                #expect(notified == sent && ended < 12 && !condition.isLocked, "seed \(seed)")
                for task in tasks { task.cancel() }
                for task in tasks { _ = await task.result }
            }
        }
    }

    // covers: 317
    @Test(arguments: TestLoop.all)
    func barrierGivesEachPartyOfAnOpeningAnotherNumber(kind: TestLoop) async throws {
        try await withLoop(kind, patiently) { loop in
            for seed in 0..<UInt64(rounds(debug: 30, full: 200)) {
                var random = SeededGenerator(seed: seed)
                let parties = Int.random(in: 1...4, using: &random)
                let barrier = Barrier(parties: parties)
                var numbers: [Int] = []
                var tasks: [Task<Void, any Error>] = []
                for _ in 0..<60 {
                    switch Int.random(in: 0..<4, using: &random) {
                    case 0..<2:
                        tasks.append(
                            loop.createTask(eagerStart: true) { () async throws in
                                numbers.append(try await barrier.wait())
                            })
                    // Tasks that wait, and were not resumed yet.
                    case 2 where !tasks.isEmpty && barrier.waitingCount > 0: tasks.last?.cancel()
                    default:
                        await loop.yield()
                        await loop.yield()
                    }
                }
                for _ in 0..<40 { await loop.yield() }
                #expect(barrier.waitingCount < parties, "seed \(seed)")
                // Each opening gave each number once.
                for number in 0..<parties {
                    let count = numbers.count { $0 == number }
                    #expect(count * parties == numbers.count, "seed \(seed), number \(number)")
                }
                for task in tasks { task.cancel() }
                for task in tasks { _ = await task.result }
            }
        }
    }
}
