import AsyncIO

/// Asks a time server: `TimeClient [HOST [PORT]]`. Datagrams get lost, so it asks up to five times.
@main struct TimeClient: EventLoopMain {
    static func main(on loop: EventLoop) async throws {
        let arguments = CommandLine.arguments.dropFirst()
        let host = arguments.first ?? "127.0.0.1"
        let port = arguments.dropFirst().first.flatMap(UInt16.init) ?? 8037
        // A connected endpoint receives only from the server, and learns when nobody listens there.
        let server = try await loop.openDatagramEndpoint(remote: .host(host, port: port))
        defer { server.close() }
        for _ in 1...5 {
            try await server.send(String(repeating: "?", count: 32))
            do {
                let answer = try await withTimeout(.seconds(1)) { try await server.receive() }
                return print(String(decoding: answer?.bytes ?? [], as: UTF8.self))
            } catch let error as EventLoopError where error.code == .timedOut {
                print("no answer yet")
            }
        }
        print("no answer from \(server.peerAddress!)")
    }
}
