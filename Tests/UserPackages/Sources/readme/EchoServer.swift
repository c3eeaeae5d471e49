import AsyncIO

// An echo server. Each connection is a task; all of them run on the loop's thread.
@main struct EchoServer: EventLoopMain {
    static func main(on loop: EventLoop) async throws {
        let server = try await loop.startServer(host: "127.0.0.1", port: 8888) { reader, writer in
            // When this closure returns, the connection is closed. When it throws, the connection is reset.
            while let line = try await reader.readLine() {
                try await writer.write(line + "\n") // Waits while the client reads slowly.
            }
        }
        print("listening on \(server.localAddresses[0])")
        try await server.serveForever() // Ctrl-C closes the server and ends the program.
    }
}
