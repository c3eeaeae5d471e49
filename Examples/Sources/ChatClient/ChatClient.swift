import AsyncIO

/// A client of the example Chat for a terminal: `ChatClient [PORT]`. Ctrl-D leaves the chat.
@main struct ChatClient: EventLoopMain {
    static func main(on loop: EventLoop) async throws {
        let port = CommandLine.arguments.dropFirst().first.flatMap(UInt16.init) ?? 8888
        try await loop.withConnection(host: "127.0.0.1", port: port) { server, toServer in
            // Standard input and output are a connection like any other: a terminal, a pipe, or a file.
            try await loop.withConnection(to: .standardStreams) { keyboard, screen in
                let typing = loop.createTask {
                    while let line = try await keyboard.readLine() { try await toServer.write(line + "\n") }
                    try await toServer.writeEOF()
                }
                // The lines of others arrive while somebody types.
                while let line = try await server.readLine() { try await screen.write(line + "\n") }
                typing.cancel()
            }
        }
    }
}
