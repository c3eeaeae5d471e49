extension EventLoop {
    /// The default of `limitBytes`: the longest line that a reader takes. asyncio: 64 KiB.
    public static let defaultLineLimitBytes = 64 * 1024

    /// Connects to a TCP server, for a task that reads and writes itself. asyncio: `open_connection`.
    ///
    /// ```swift
    /// let (reader, writer) = try await loop.openConnection(host: "localhost", port: 7)
    /// try await writer.write("hello\n")
    /// print(try await reader.readLine() ?? "")
    /// writer.close()
    /// ```
    ///
    /// Any task; a task of another loop or of the pool may use the streams too, at the price of hops. Throws as
    /// ``createConnection(host:port:options:_:)``, and `.invalidArgument` for a limit that is not positive.
    ///
    /// The connection ends when it is closed, or when nobody holds its streams any more. See also
    /// ``withConnection(host:port:limitBytes:_:)``.
    public final func openConnection(
        host: String, port: UInt16, limitBytes: Int = defaultLineLimitBytes
    ) async throws -> sending (reader: StreamReader, writer: StreamWriter) {
        try checkLineLimit(limitBytes)
        let streams = try await atHome { _ in
            let (driver, peer) = try await connect(host: host, port: port)
            let transport = StreamTransport(loop: self, driver: driver, consumer: nil, peerAddress: peer)
            return UncheckedSendable(value: transport.makeStreams(limitBytes: limitBytes))
        }
        nonisolated(unsafe) let value = streams.value
        return value
    }

    /// Connects to a TCP server for the time of `body`; returns when the connection has ended.
    ///
    /// ```swift
    /// let answer = try await loop.withConnection(host: "localhost", port: 7) { reader, writer in
    ///     try await writer.write("hello\n")
    ///     return try await reader.readLine()
    /// }
    /// ```
    ///
    /// When `body` has returned, what was written goes out, the connection is closed, and that is waited for; a loss
    /// meanwhile is thrown, since it may have cost something of what was written. When `body` throws, the same is done
    /// and its error thrown, but a connection that broke off in the middle of a write is reset, so that the peer
    /// does not take half of it for the whole. A cancelled task does not wait: what is still queued goes out while the loop
    /// runs, and if there is something, a `CancellationError` is thrown instead of the result. As for input that nobody has read, see ``StreamWriter/close()``. Throws as
    /// ``openConnection(host:port:limitBytes:)`` too.
    public final func withConnection<Result>(
        host: String, port: UInt16, limitBytes: Int = defaultLineLimitBytes,
        _ body: (StreamReader, StreamWriter) async throws -> Result
    ) async throws -> Result {
        let (reader, writer) = try await openConnection(host: host, port: port, limitBytes: limitBytes)
        let result: Result
        do {
            result = try await body(reader, writer)
        } catch {
            if error is WriteError { writer.reset() } else { writer.close() }
            // The first error is the one that counts.
            try? await writer.waitClosed()
            throw error
        }
        try await writer.closeAndWait()
        return result
    }

    /// asyncio refuses them in `StreamReader.__init__`.
    final func checkLineLimit(_ limitBytes: Int) throws(EventLoopError) {
        if limitBytes <= 0 {
            throw EventLoopError(.invalidArgument, "a limit of \(limitBytes) bytes leaves no line to read")
        }
    }
}

extension StreamTransport {
    /// The two halves. The connection ends with the last of them.
    package func makeStreams(limitBytes: Int) -> (reader: StreamReader, writer: StreamWriter) {
        let lifetime = StreamLifetime(self)
        return (StreamReader(lifetime, limitBytes: limitBytes), StreamWriter(lifetime))
    }
}
