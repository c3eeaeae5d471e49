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
        // A line that has arrived.
        Operation("line") { loop, count in
            try await withLines(
                loop, { try await $1.write(String(repeating: "hello, loop\n", count: count)) },
                { reader, _ in
                    let counter = Counter()
                    for try await line in reader.lines { counter.value += line.utf8.count }
                })
        },
        // A line, and another one as the answer, so that both tasks wait.
        Operation("line-waiting") { loop, count in
            try await withLines(
                loop, { for try await _ in $0.lines { try await $1.write("hello, loop\n") } },
                { reader, writer in
                    var number = 0
                    try await writer.write("hello, loop\n")
                    for try await _ in reader.lines {
                        number += 1
                        if number == count { break }
                        try await writer.write("hello, loop\n")
                    }
                })
        },
    ]

    private static func withLines(
        _ loop: EventLoop,
        _ serve: @concurrent @escaping (sending StreamReader, sending StreamWriter) async throws -> Void,
        _ use: @concurrent @escaping (sending StreamReader, sending StreamWriter) async throws -> Void
    ) async throws {
        let server = try await loop.startServer(host: "127.0.0.1", port: 0, serve)
        try await loop.withConnection(to: .address(server.localAddresses[0]), use)
        server.close()
        try await server.waitClosed()
    }
}
