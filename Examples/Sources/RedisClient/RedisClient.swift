import AsyncIO

/// Sends commands to a Redis server, also while it is restarted: `RedisClient [PORT]`.
@main struct RedisClient: EventLoopMain {
    static func main(on loop: EventLoop) async throws {
        let redis = Redis(loop: loop, port: CommandLine.arguments.dropFirst().first.flatMap(UInt16.init) ?? 6379)
        loop.createBackgroundTask(name: "redis") { try await redis.run() }

        // A thousand tasks, one connection: the commands do not wait for each other's replies.
        try await withLoopTaskGroup { group in
            for _ in 1...1000 { group.createTask { try await redis.send("INCR", "counter") } }
        }
        print("counter:", try await redis.send("GET", "counter"))

        loop.createBackgroundTask(name: "ticks") {
            while true {
                do {
                    print("tick:", try await redis.send("INCR", "ticks"))
                } catch {
                    print("no reply: \(error)")
                }
                try await loop.sleep(for: .milliseconds(100))
            }
        }
        for await _ in try loop.signals([.interrupt, .terminate]) { break }
    }
}
