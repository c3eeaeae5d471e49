import AsyncIO

extension Operation {
    /// The number of callbacks in one iteration.
    private static let batch = 1_000

    static let ofTheLoop = [
        Operation("withTimeout") { _, count in
            let counter = Counter()
            for _ in 0..<count {
                try await withTimeout(.seconds(60)) { counter.value += 1 }
            }
        },
        Operation("withTimeout-waiting") { loop, count in
            for _ in 0..<count {
                try await withTimeout(.seconds(60)) { await loop.yield() }
            }
        },
        Operation("createTask") { loop, count in
            let counter = Counter()
            for _ in 0..<count {
                await loop.createTask { counter.value += 1 }.value
            }
        },
        Operation("createTask-eager") { loop, count in
            let counter = Counter()
            for _ in 0..<count {
                await loop.createTask(eagerStart: true) { counter.value += 1 }.value
            }
        },
        Operation("future") { loop, count in
            for number in 0..<count {
                let future = loop.createFuture(of: Int.self)
                loop.callSoon { try future.setResult(number) }
                _ = try await future.value
            }
        },
        Operation("timer-cancelled") { loop, count in
            let counter = Counter()
            for _ in 0..<count {
                loop.callLater(after: .seconds(60)) { counter.value += 1 }.cancel()
            }
        },
        Operation("callSoon") { loop, count in
            let counter = Counter()
            for _ in 0..<count / batch {
                for _ in 0..<batch {
                    loop.callSoon { counter.value += 1 }
                }
                await loop.yield()
            }
        },
        // One iteration of the loop, which several of the other operations include.
        Operation("yield") { loop, count in
            for _ in 0..<count { await loop.yield() }
        },
    ]
}
