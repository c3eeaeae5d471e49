import AsyncIO

/// Connects to a server of the same loop that echoes, calls `body`, and closes both. Called on the loop.
func withEchoConnection<Result>(
    on loop: EventLoop, _ body: (StreamReader, StreamWriter) async throws -> Result
) async throws -> Result {
    let server = try await loop.startServer(host: "127.0.0.1", port: 0) { reader, writer in
        while true {
            let bytes = try await reader.read(maxBytes: 65536)
            if bytes.isEmpty { return }
            try await writer.write(bytes)
        }
    }
    defer { server.close() }
    let (reader, writer) = try await loop.openConnection(host: "127.0.0.1", port: server.port)
    defer { writer.close() }
    return try await body(reader, writer)
}

/// Calls `body` with two connected streams of one loop. Bytes that are written to the first can be read from the
/// second.
func withStreamPair<Result>(
    on loop: EventLoop,
    _ body: (_ writer: StreamWriter, _ reader: StreamReader) async throws -> Result
) async throws -> Result {
    let accepted = Accepted()
    let server = try await loop.startServer(host: "127.0.0.1", port: 0) { reader, writer in
        // The test retains the stream and closes it.
        await withUnsafeContinuation { (ended: UnsafeContinuation<Void, Never>) in
            accepted.ended = ended
            accepted.writer = writer
            accepted.arrived?.resume()
        }
        withExtendedLifetime(reader) {}
    }
    let (reader, writer) = try await loop.openConnection(host: "127.0.0.1", port: server.port)
    if accepted.writer == nil { await withUnsafeContinuation { accepted.arrived = $0 } }
    server.close()
    defer {
        writer.close()
        accepted.ended?.resume()
        accepted.writer = nil
    }
    return try await body(accepted.writer!, reader)
}

private final class Accepted {
    var writer: StreamWriter?
    var ended: UnsafeContinuation<Void, Never>?
    var arrived: UnsafeContinuation<Void, Never>?
}
