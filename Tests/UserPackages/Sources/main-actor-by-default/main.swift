import AsyncIO

// Everything in this module is isolated to the main actor unless declared otherwise; the loop runs on the main thread.
var answered = 0

func count() { answered += 1 }

nonisolated final class Echo: StreamProtocol {
    var transport: StreamTransport?
    func connectionMade(_ transport: StreamTransport) { self.transport = transport }
    func dataReceived(_ data: RawSpan) { transport?.write(data) }
    func connectionLost(_ error: (any Error)?) { transport = nil }
}

nonisolated func exchange() async throws {
    let loop = try getRunningLoop()
    let server = try await loop.createServer(host: "127.0.0.1", port: 0) { Echo() }
    let port = server.localAddresses[0].port!
    let (reader, writer) = try await loop.openConnection(host: "127.0.0.1", port: port)
    for _ in 0..<3 {
        try await writer.write("ping\n")
        let line = try await reader.readLine()
        precondition(line == "ping")
        await count()
    }
    writer.close()
    server.close()
    try await server.waitClosed()
}

try run { try await exchange() }
precondition(answered == 3)
print("ok: main actor by default")
