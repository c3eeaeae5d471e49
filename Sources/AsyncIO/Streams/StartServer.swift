import AsyncIOSystem

extension EventLoop {
    /// Listens on an endpoint, and handles each connection in a separate task on the loop. asyncio: `start_server`.
    ///
    /// ```swift
    /// let server = try await loop.startServer(on: .allInterfaces(port: 8888)) { reader, writer in
    ///     while let line = try await reader.readLine() { try await writer.write(line + "\n") }
    /// }
    /// ```
    ///
    /// The handler begins as soon as the connection is accepted, before anything else runs. It may capture objects that
    /// are not `Sendable`. When it returns, the connection is closed as by ``StreamWriter/close()``. When it throws,
    /// the connection is reset, so that the peer does not take a part of a response for the whole, and the error goes
    /// to the exception handler. Not reported are a `CancellationError`, and errors that only say that the peer or this
    /// program has ended the connection. Throws as ``createServer(on:options:fileID:line:_:)`` does, and
    /// `.invalidArgument` for a limit that is not positive.
    ///
    /// - Thread: the loop's; elsewhere it throws `.wrongThread`.
    public final func startServer(
        on endpoint: Endpoint, options: ServerOptions = ServerOptions(),
        fileID: StaticString = #fileID, line: UInt = #line,
        _ handle: @concurrent @escaping (sending StreamReader, sending StreamWriter) async throws -> Void
    ) async throws -> sending Server {
        try checkOnLoop("startServer", owning: endpoint)
        try checkLineLimit(options.limitBytes, owning: endpoint)
        nonisolated(unsafe) let server = try await withAffinity(owning: endpoint, "startServer") {
            try await listen(
                on: endpoint, options: options, origin: CallSite(fileID: fileID, line: line),
                Self.serve(options.limitBytes, handle))
        }
        return server
    }

    /// Listens on a host, or on all interfaces if `host` is `nil` or empty; everything else is as in
    /// ``startServer(on:options:fileID:line:_:)``.
    public final func startServer(
        host: String? = nil, port: UInt16, options: ServerOptions = ServerOptions(),
        fileID: StaticString = #fileID, line: UInt = #line,
        _ handle: @concurrent @escaping (sending StreamReader, sending StreamWriter) async throws -> Void
    ) async throws -> sending Server {
        try await startServer(on: .host(host ?? "", port: port), options: options, fileID: fileID, line: line, handle)
    }

    private static func serve(
        _ limitBytes: Int,
        _ handle: @concurrent @escaping (sending StreamReader, sending StreamWriter) async throws -> Void
    ) -> Accepted {
        let handler = ConnectionHandler(limitBytes: limitBytes, handle)
        return { loop, server, driver, peer in
            let transport = StreamTransport(
                loop: loop, driver: driver, consumer: nil, peerAddress: peer, origin: server.connectionOrigin)
            loop.start(ServedConnection(transport, handler))
        }
    }
}

private final class ConnectionHandler: Sendable {
    let limitBytes: Int
    // SAFETY: called on the loop's thread only.
    nonisolated(unsafe) let handle: @concurrent (sending StreamReader, sending StreamWriter) async throws -> Void

    init(
        limitBytes: Int,
        _ handle: @concurrent @escaping (sending StreamReader, sending StreamWriter) async throws -> Void
    ) {
        self.limitBytes = limitBytes
        self.handle = handle
    }
}

/// The task that serves one connection. Its record contains everything that the task needs, so that no closure has to.
private final class ServedConnection: TaskRecord, @unchecked Sendable {
    private let transport: StreamTransport
    private let handler: ConnectionHandler
    private var isServed = false

    init(_ transport: StreamTransport, _ handler: ConnectionHandler) {
        self.transport = transport
        self.handler = handler
        super.init(loop: transport.loop)
    }

    override var name: String? { "connection" }

    override var servedConnection: AnyObject? { transport }

    override var site: CallSite { transport.origin ?? CallSite(fileID: #fileID, line: #line) }

    @concurrent func run() async {
        let handler = begin()
        defer { end(handler) }
        await serve()
    }

    /// Runs the operation that a task factory has made of the task.
    @concurrent func run(_ made: @concurrent () async -> Void) async {
        let handler = begin()
        defer { end(handler) }
        await made()
    }

    @concurrent @inline(__always)
    func serve() async {
        // A task factory may call this function twice.
        if isServed { return }
        isServed = true
        do {
            // Only the handler uses the streams, because they remember this record. SAFETY: they stay on the loop's
            // thread, or hop there.
            nonisolated(unsafe) let (reader, writer) = transport.makeStreams(limitBytes: handler.limitBytes)
            try await handler.handle(reader, writer)
            transport.close()
        } catch {
            transport.handlerFailed(error)
        }
    }
}

extension EventLoop {
    /// Starts the task of a connection, which runs at once up to its first wait.
    fileprivate final func start(_ connection: ServedConnection) {
        let task =
            if hasTaskFactory {
                startTask(of: connection, applyTaskFactory({ await connection.serve() }, connection))
            } else {
                startTask(of: connection)
            }
        connection.started(unsafeBitCast(task, to: UInt.self))
    }

    // The tasks can throw, because a task that cannot throw calls its operation through a thunk, which needs a frame.

    private final func startTask(of connection: ServedConnection) -> Task<Void, any Error> {
        if #available(macOS 26, *) {
            return Task.immediate(name: connection.name, executorPreference: self) { await connection.run() }
        } else {
            return Task(name: connection.name, executorPreference: self) { await connection.run() }
        }
    }

    private final func startTask(
        of connection: ServedConnection, _ made: @concurrent @escaping () async -> Void
    ) -> Task<Void, any Error> {
        // SAFETY: every step runs on this thread, so the operation does not leave it.
        nonisolated(unsafe) let made = made
        if #available(macOS 26, *) {
            return Task.immediate(name: connection.name, executorPreference: self) { await connection.run(made) }
        } else {
            return Task(name: connection.name, executorPreference: self) { await connection.run(made) }
        }
    }
}

extension StreamTransport {
    /// Ends the connection whose handler threw, and reports the error if it says more than that the connection has
    /// ended. It is not inlined, because its local variables would be part of every waiting handler's memory.
    @inline(never) fileprivate func handlerFailed(_ error: any Error) {
        // Bytes that were written before this program closed the connection are still being sent.
        // An error of another connection is reported, because this one is open.
        if error.isConnectionClosed, state.isClosing { return close() }
        // With EOF, unless that discards bytes or a write was incomplete.
        if error is CancellationError { return abort() }
        reset()
        loop.report(
            ExceptionContext(
                message: "The handler of a connection failed; the connection is reset", error: error, origin: origin,
                transport: self))
    }
}
