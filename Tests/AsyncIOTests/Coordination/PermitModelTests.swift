import AsyncIO
import AsyncIOTesting
import Testing

/// What a semaphore does, in the simplest words: a list of tasks that wait, and one of those that were chosen.
struct PermitModel {
    private(set) var available: Int
    private var waiting: [Int] = []
    /// The tasks that continue in the next iteration, in order, and whether they were chosen.
    private var continuing: [(number: Int, wasChosen: Bool)] = []
    private var cancelled: Set<Int> = []
    private(set) var results: [Int: String] = [:]

    init(_ available: Int) { self.available = available }

    mutating func acquire(_ number: Int) {
        if available > 0 {
            available -= 1
            results[number] = "acquired"
        } else {
            waiting.append(number)
        }
    }

    mutating func release() {
        if waiting.isEmpty { available += 1 } else { continuing.append((waiting.removeFirst(), true)) }
    }

    mutating func cancel(_ number: Int) {
        cancelled.insert(number)
        guard let index = waiting.firstIndex(of: number) else { return }
        waiting.remove(at: index)
        continuing.append((number, false))
    }

    mutating func iterate() {
        let tasks = continuing
        continuing = []
        for (number, wasChosen) in tasks {
            results[number] = cancelled.contains(number) ? "cancelled" : "acquired"
            if wasChosen, cancelled.contains(number) { release() }
        }
    }
}

struct PermitModelTests {
    // covers: 313, 316, F65
    @Test(arguments: TestLoop.all, CancellationTests.Kind.onTheLoop)
    func semaphoreBehavesAsItsModel(loopKind: TestLoop, kind: CancellationTests.Kind) async throws {
        try await withLoop(loopKind, patiently) { loop in
            for seed in 0..<UInt64(rounds(debug: 30, full: 200)) {
                var random = SeededGenerator(seed: seed)
                let value = Int.random(in: 0...2, using: &random)
                let semaphore = Semaphore(value)
                var model = PermitModel(value)
                let outcomes = Outcomes()
                var tasks: [Task<Void, any Error>] = []
                for step in 0..<120 {
                    switch Int.random(in: 0..<10, using: &random) {
                    case 0..<3:
                        let number = tasks.count
                        tasks.append(
                            try await eagerly(kind, on: loop) {
                                await outcomes.note(number) {
                                    try await semaphore.acquire()
                                    return "acquired"
                                }
                            })
                        model.acquire(number)
                    case 3..<6:
                        try semaphore.release()
                        model.release()
                    case 6..<8 where !tasks.isEmpty:
                        // The last ones are the most likely to wait.
                        let number = max(0, tasks.count - Int.random(in: 1...6, using: &random))
                        tasks[number].cancel()
                        model.cancel(number)
                    default:
                        await loop.yield()
                        model.iterate()
                    }
                    let context: Comment = "seed \(seed), step \(step)"
                    #expect(outcomes.texts == model.results, context)
                    #expect(semaphore.isLocked == (model.available == 0), context)
                    if outcomes.texts != model.results { break }
                }
                for task in tasks { task.cancel() }
                for task in tasks { _ = await task.result }
            }
        }
    }

    /// Starts a task of a kind that has run its first step when this function returns.
    private func eagerly(
        _ kind: CancellationTests.Kind, on loop: EventLoop, _ body: @escaping () async -> Void
    ) async throws -> Task<Void, any Error> {
        nonisolated(unsafe) let body = body
        if kind == .recorded { return loop.createTask(eagerStart: true) { () async throws in await body() } }
        return Task.immediate(executorPreference: loop) { await body() }
    }
}
