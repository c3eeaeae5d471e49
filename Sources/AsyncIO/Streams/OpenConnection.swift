public import AsyncIOSystem

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
    /// ``createConnection(host:port:options:fileID:line:_:)``, and `.invalidArgument` for a limit that is not positive.
    ///
    /// The connection ends when it is closed, or when nobody holds its streams any more: what is still unsent then has
    /// five seconds to go out, and the connection is reset if it does not. See also
    /// ``withConnection(host:port:options:limitBytes:fileID:line:_:)``.
    public final func openConnection(
        host: String, port: UInt16, options: ConnectionOptions = ConnectionOptions(),
        limitBytes: Int = defaultLineLimitBytes, fileID: StaticString = #fileID, line: UInt = #line
    ) async throws -> sending (reader: StreamReader, writer: StreamWriter) {
        try checkLineLimit(limitBytes)
        let streams = try await atHome { _ in
            let (driver, peer) = try await connect(host: host, port: port, options: options)
            return makeStreams(driver, peer: peer, limitBytes, CallSite(fileID: fileID, line: line))
        }
        nonisolated(unsafe) let value = streams.value
        return value
    }

    /// Takes over a connected socket of the program's, for a task that reads and writes itself. asyncio:
    /// `open_connection(sock=)`.
    ///
    /// The socket belongs to this call, as to ``createConnection(socket:fileID:line:_:)``, and to the connection then. Any task. Throws as
    /// that, and `.invalidArgument` for a limit that is not positive.
    public final func openConnection(
        socket: Socket, limitBytes: Int = defaultLineLimitBytes, fileID: StaticString = #fileID,
        line: UInt = #line
    ) async throws -> sending (reader: StreamReader, writer: StreamWriter) {
        var wasTaken = false
        do {
            try checkLineLimit(limitBytes)
            let streams = try await atHome { _ in
                wasTaken = true
                return makeStreams(try adopt(socket), peer: nil, limitBytes, CallSite(fileID: fileID, line: line))
            }
            nonisolated(unsafe) let value = streams.value
            return value
        } catch {
            if !wasTaken { socket.close() }
            throw error
        }
    }

    private final func makeStreams(
        _ driver: StreamDriver, peer: SocketAddress?, _ limitBytes: Int, _ origin: CallSite
    ) -> UncheckedSendable<(reader: StreamReader, writer: StreamWriter)> {
        let transport = StreamTransport(loop: self, driver: driver, consumer: nil, peerAddress: peer, origin: origin)
        return UncheckedSendable(value: transport.makeStreams(limitBytes: limitBytes))
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
    /// ``openConnection(host:port:options:limitBytes:fileID:line:)`` too.
    public final func withConnection<Result>(
        host: String, port: UInt16, options: ConnectionOptions = ConnectionOptions(),
        limitBytes: Int = defaultLineLimitBytes, fileID: StaticString = #fileID, line: UInt = #line,
        _ body: @concurrent (sending StreamReader, sending StreamWriter) async throws -> Result
    ) async throws -> Result {
        let (reader, writer) = try await openConnection(
            host: host, port: port, options: options, limitBytes: limitBytes, fileID: fileID, line: line)
        return try await withStreams(reader, writer, body)
    }

    /// Takes over a connected socket of the program's for the time of `body`.
    ///
    /// As `withConnection` of a host, and throws as ``openConnection(socket:limitBytes:fileID:line:)`` too.
    public final func withConnection<Result>(
        socket: Socket, limitBytes: Int = defaultLineLimitBytes, fileID: StaticString = #fileID,
        line: UInt = #line, _ body: @concurrent (sending StreamReader, sending StreamWriter) async throws -> Result
    ) async throws -> Result {
        let (reader, writer) = try await openConnection(
            socket: socket, limitBytes: limitBytes, fileID: fileID, line: line)
        return try await withStreams(reader, writer, body)
    }

    private final func withStreams<Result>(
        _ reader: StreamReader, _ writer: StreamWriter,
        _ body: @concurrent (sending StreamReader, sending StreamWriter) async throws -> Result
    ) async throws -> Result {
        let result: Result
        do {
            result = try await withoutActuallyEscaping(body, do: StreamsCall(reader: reader, writer: writer).run)
        } catch {
            writer.close()
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
            throw EventLoopError(.invalidArgument, "limitBytes must be positive, not \(limitBytes)")
        }
    }
}

extension StreamTransport {
    /// The two halves. The connection ends with the last of them.
    package func makeStreams(limitBytes: Int) -> (reader: StreamReader, writer: StreamWriter) {
        (StreamReader(self, limitBytes: limitBytes), StreamWriter(self))
    }
}

/// The call of a body that works with a connection's streams.
private struct StreamsCall<Result> {
    let reader: StreamReader
    let writer: StreamWriter

    nonisolated(nonsending) func run(
        _ body: @concurrent @escaping (sending StreamReader, sending StreamWriter) async throws -> Result
    ) async throws -> Result {
        // SAFETY: the caller is suspended until the body has ended, and the streams hop to their loop.
        nonisolated(unsafe) let (reader, writer) = (reader, writer)
        let call = SentBody { try await body(reader, writer) }
        return try await callBody(call.call)
    }
}
