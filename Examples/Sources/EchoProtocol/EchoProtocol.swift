import AsyncIO

/// An echo server with protocols: the loop calls an object, one per connection, with the bytes as they arrive.
@main struct EchoProtocol: EventLoopMain {
    static func main(on loop: EventLoop) async throws {
        let port = CommandLine.arguments.dropFirst().first.flatMap(UInt16.init) ?? 8888
        let server = try await loop.createServer(host: "127.0.0.1", port: port) { Echo() }
        let signals = try loop.signals([.interrupt, .terminate])
        print("listening on \(server.localAddresses[0])")

        for await _ in signals { break }
        // Idle clients are closed at once. Those that do not read their answers are aborted after five seconds.
        server.closeClients()
        try await server.shutDown(within: .seconds(5))
    }
}

final class Echo: StreamProtocol {
    private var transport: StreamTransport?

    func connectionMade(_ transport: StreamTransport) {
        self.transport = transport
    }

    func dataReceived(_ data: RawSpan) {
        transport?.write(data)
    }

    // Back-pressure: while a client does not read its answers, the server does not read from it.
    func pauseWriting() {
        transport?.pauseReading()
    }

    func resumeWriting() {
        transport?.resumeReading()
    }

    func connectionLost(_ error: (any Error)?) {
        transport = nil
    }
}
