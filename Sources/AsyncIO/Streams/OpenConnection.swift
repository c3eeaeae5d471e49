import AsyncIOSystem

extension EventLoop {
    /// The default of ``ConnectionOptions/limitBytes`` and ``ServerOptions/limitBytes``, the length of the longest line
    /// that a reader accepts: 64 KiB, as in asyncio.
    public static let defaultLineLimitBytes = 64 * 1024

    /// Connects to an endpoint, for a task that reads and writes. asyncio: `open_connection`.
    ///
    /// ```swift
    /// let (reader, writer) = try await loop.openConnection(to: .hosts(["a.example", "b.example"], port: 7))
    /// try await writer.write("hello\n")
    /// print(try await reader.readLine() ?? "")
    /// writer.close()
    /// ```
    ///
    /// A task of another loop or of the thread pool may use the streams too. The connection ends when it is closed, or
    /// when its streams are released; unsent bytes then have five seconds to be sent before it is reset. Throws as
    /// ``createConnection(to:options:fileID:line:_:)`` does, and `.invalidArgument` for a limit below one.
    public final func openConnection(
        to endpoint: Endpoint, options: ConnectionOptions = ConnectionOptions(),
        fileID: StaticString = #fileID, line: UInt = #line
    ) async throws -> sending (reader: StreamReader, writer: StreamWriter) {
        try checkLineLimit(options.limitBytes, owning: endpoint)
        let streams = try await withAffinity(owning: endpoint, "openConnection") {
            let (driver, peer) = try await connect(to: endpoint, options: options)
            let transport = StreamTransport(
                loop: self, driver: driver, consumer: nil, peerAddress: peer,
                origin: ConnectionOrigin(CallSite(fileID: fileID, line: line)))
            return UncheckedSendable(value: transport.makeStreams(limitBytes: options.limitBytes))
        }
        nonisolated(unsafe) let value = streams.value
        return value
    }

    /// Connects to a host; everything else is as in ``openConnection(to:options:fileID:line:)``.
    public final func openConnection(
        host: String, port: UInt16, options: ConnectionOptions = ConnectionOptions(),
        fileID: StaticString = #fileID, line: UInt = #line
    ) async throws -> sending (reader: StreamReader, writer: StreamWriter) {
        try await openConnection(to: .host(host, port: port), options: options, fileID: fileID, line: line)
    }

    /// Connects to an endpoint, calls `body`, and returns when the connection has ended.
    ///
    /// ```swift
    /// let answer = try await loop.withConnection(to: .host("localhost", port: 7)) { reader, writer in
    ///     try await writer.write("hello\n")
    ///     return try await reader.readLine()
    /// }
    /// ```
    ///
    /// When `body` has returned, the function closes the connection and waits until everything that was written has
    /// been sent. It throws if the connection is lost meanwhile, because some of the bytes may not have arrived. When
    /// `body` throws, the function does the same and throws the error of `body`; but if a write was incomplete, it
    /// resets the connection. A cancelled task does not wait, and throws a `CancellationError` instead of the result if
    /// there are unsent bytes. For input that was not read, see ``StreamWriter/close()``. Also throws as
    /// ``openConnection(to:options:fileID:line:)`` does.
    public final func withConnection<Result>(
        to endpoint: Endpoint, options: ConnectionOptions = ConnectionOptions(),
        fileID: StaticString = #fileID, line: UInt = #line,
        _ body: @concurrent (sending StreamReader, sending StreamWriter) async throws -> Result
    ) async throws -> Result {
        let (reader, writer) = try await openConnection(to: endpoint, options: options, fileID: fileID, line: line)
        // SAFETY: the caller is suspended until the body has ended, and the streams hop to their loop.
        nonisolated(unsafe) let streams = (reader, writer)
        let result: Result
        do {
            result = try await callBody { try await body(streams.0, streams.1) }
        } catch {
            writer.close()
            // The first error is the one that is thrown.
            try? await writer.waitClosed()
            throw error
        }
        try await writer.closeAndWait()
        return result
    }

    /// Connects to a host; everything else is as in ``withConnection(to:options:fileID:line:_:)``.
    public final func withConnection<Result>(
        host: String, port: UInt16, options: ConnectionOptions = ConnectionOptions(),
        fileID: StaticString = #fileID, line: UInt = #line,
        _ body: @concurrent (sending StreamReader, sending StreamWriter) async throws -> Result
    ) async throws -> Result {
        try await withConnection(to: .host(host, port: port), options: options, fileID: fileID, line: line, body)
    }

    /// Throws `.invalidArgument` unless the limit is positive, and closes the sockets of the endpoint then.
    final func checkLineLimit(_ limitBytes: Int, owning endpoint: Endpoint) throws(EventLoopError) {
        if limitBytes > 0 { return }
        discard(endpoint.sockets)
        throw EventLoopError(.invalidArgument, "limitBytes must be positive, not \(limitBytes)")
    }
}

extension StreamTransport {
    /// Creates the reader and the writer. The connection ends when both have been released.
    package func makeStreams(limitBytes: Int) -> (reader: StreamReader, writer: StreamWriter) {
        (StreamReader(self, limitBytes: limitBytes), StreamWriter(self))
    }
}
