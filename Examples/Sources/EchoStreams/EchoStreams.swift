import AsyncIO

/// An echo server with streams: each connection is a task that reads and writes, on the loop's thread.
@main struct EchoStreams: EventLoopMain {
    static func main(on loop: EventLoop) async throws {
        let port = CommandLine.arguments.dropFirst().first.flatMap(UInt16.init) ?? 8888
        let server = try await loop.startServer(host: "127.0.0.1", port: port) { reader, writer in
            try await echo(reader, writer)
        }
        let signals = try loop.signals([.interrupt, .terminate])
        print("listening on \(server.localAddresses[0])")

        for await _ in signals { break }
        // Idle clients are closed at once. Those that do not read their answers are aborted after five seconds.
        server.closeClients()
        try await server.shutDown(within: .seconds(5))
    }

    static func echo(_ reader: StreamReader, _ writer: StreamWriter) async throws {
        // A chunk is a buffer of the loop: nothing is copied, and an idle connection uses no buffer.
        while let chunk = try await reader.readChunk() {
            // Back-pressure: a write returns when the kernel has accepted the bytes, and nothing is read before.
            try await writer.write(chunk)
        }
    }
}
