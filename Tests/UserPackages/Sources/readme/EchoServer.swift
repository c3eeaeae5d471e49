import AsyncIO

// An echo server. Each connection is a task; all of them run on the loop's thread.
@main struct EchoServer: EventLoopMain {
    static func main(on loop: EventLoop) async throws {
        let server = try await loop.startServer(host: "127.0.0.1", port: 8888) { reader, writer in
            try await echo(reader, writer)
        }
        // Without this handler, Ctrl-C would cancel this function.
        try loop.addSignalHandler(.interrupt) {
            server.close()
            server.abortClients()
        }
        print("listening on \(server.localAddresses[0])")
        try await server.waitClosed()
    }
}

func echo(_ reader: StreamReader, _ writer: StreamWriter) async throws {
    while let chunk = try await reader.readChunk() {
        try await writer.write(chunk.bytes) // Waits while the client reads slowly.
    }
}
