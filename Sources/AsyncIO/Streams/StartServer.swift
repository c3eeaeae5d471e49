extension EventLoop {
    /// Listens for TCP connections; each is handled by a task of its own, on the loop's thread. asyncio: `start_server`.
    ///
    /// ```swift
    /// let server = try await loop.startServer(host: "127.0.0.1", port: 8888) { reader, writer in
    ///     while let line = try await reader.readLine() { try await writer.write(line + "\n") }
    /// }
    /// ```
    ///
    /// The handler begins as soon as the connection was accepted, before anything else runs. When it returns, the
    /// connection is closed, after what was written; when it throws, the connection is aborted and the error goes to the
    /// exception handler (a `CancellationError` does not, nor
    /// the `.closed` of a connection that this program closed under it). The handler may capture what is not `Sendable`.
    /// Throws as ``createServer(host:port:options:_:)``.
    public final func startServer(
        host: String? = nil, port: UInt16, options: ServerOptions = ServerOptions(),
        limitBytes: Int = defaultLineLimitBytes,
        _ handle: @escaping (StreamReader, StreamWriter) async throws -> Void
    ) async throws -> Server {
        guard isOnLoop else { throw EventLoopError.wrongThread("startServer") }
        return try await listen(host: host, port: port, options: options) { loop, server, driver, peer in
            let transport = StreamTransport(
                loop: loop, driver: driver, consumer: nil, peerAddress: peer, server: server)
            let (reader, writer) = transport.makeStreams(limitBytes: limitBytes)
            loop.createTask(name: "connection", eagerStart: true) {
                do {
                    try await handle(reader, writer)
                    transport.close()
                } catch {
                    // Whoever closed the connection under the handler knows it.
                    let wasClosedHere = transport.isClosing && transport.lossError == nil && error.isClosed
                    transport.abort()
                    if error.isCancellation || wasClosedHere { return }
                    loop.callExceptionHandler(
                        ExceptionContext(
                            message: "The handler of a connection failed", error: error, transport: transport))
                }
            }
        }
    }
}

extension Error {
    /// Whether it says that the task was cancelled, by itself or inside of a write's error.
    var isCancellation: Bool {
        self is CancellationError || (self as? WriteError)?.underlying is CancellationError
    }

    /// Whether it says that what was used is closed.
    fileprivate var isClosed: Bool {
        let error = (self as? WriteError)?.underlying ?? self
        return (error as? EventLoopError)?.code == .closed
    }
}
