public import AsyncIOSystem

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
    /// connection is closed, after what was written (see ``StreamWriter/close()`` for input that it has not read, and
    /// for a write that was cut off, after which the connection is reset). When it throws, the connection is reset, so
    /// that the peer does not take half an answer for a whole one, and the error goes to the exception handler. Not
    /// reported are a `CancellationError`, and what says only that the connection has ended: broken off by the peer, or
    /// closed by this program. The handler may capture what is not `Sendable`. Throws as
    /// ``createServer(host:port:options:fileID:line:_:)``, and `.invalidArgument` for a limit that is not positive.
    public final func startServer(
        host: String? = nil, port: UInt16, options: ServerOptions = ServerOptions(),
        limitBytes: Int = defaultLineLimitBytes,
        fileID: StaticString = #fileID, line: UInt = #line,
        _ handle: @concurrent @escaping (sending StreamReader, sending StreamWriter) async throws -> Void
    ) async throws -> sending Server {
        try await startServer(
            listed: [host], port: port, options, limitBytes, CallSite(fileID: fileID, line: line), handle)
    }

    /// As `startServer` of a host, on every address of several hosts, each address once. Throws `.invalidArgument` for none.
    public final func startServer(
        hosts: [String], port: UInt16, options: ServerOptions = ServerOptions(),
        limitBytes: Int = defaultLineLimitBytes,
        fileID: StaticString = #fileID, line: UInt = #line,
        _ handle: @concurrent @escaping (sending StreamReader, sending StreamWriter) async throws -> Void
    ) async throws -> sending Server {
        try await startServer(
            listed: hosts, port: port, options, limitBytes, CallSite(fileID: fileID, line: line), handle)
    }

    private final func startServer(
        listed hosts: [String?], port: UInt16, _ options: ServerOptions, _ limitBytes: Int, _ origin: CallSite,
        _ handle: @concurrent @escaping (sending StreamReader, sending StreamWriter) async throws -> Void
    ) async throws -> sending Server {
        guard isOnLoop else { throw EventLoopError.wrongThread("startServer") }
        try checkLineLimit(limitBytes)
        nonisolated(unsafe) let server = try await listen(
            hosts: hosts, port: port, options: options, origin: origin, Self.serve(limitBytes, handle))
        return server
    }

    /// Serves on sockets that were bound elsewhere, such as those of a service manager. asyncio: `start_server(sock=)`.
    ///
    /// They belong to this call, as to ``createServer(sockets:options:fileID:line:_:)``, also if it throws. Throws as that, and as
    /// `startServer` of a host.
    public final func startServer(
        sockets: [Socket], options: ServerOptions = ServerOptions(), limitBytes: Int = defaultLineLimitBytes,
        fileID: StaticString = #fileID, line: UInt = #line,
        _ handle: @concurrent @escaping (sending StreamReader, sending StreamWriter) async throws -> Void
    ) async throws -> sending Server {
        do {
            guard isOnLoop else { throw EventLoopError.wrongThread("startServer") }
            try checkLineLimit(limitBytes)
        } catch {
            for socket in Set(sockets) { socket.close() }
            throw error
        }
        nonisolated(unsafe) let server = try listen(
            sockets: sockets, options: options, origin: CallSite(fileID: fileID, line: line),
            Self.serve(limitBytes, handle))
        return server
    }

    /// As `startServer` of several sockets.
    public final func startServer(
        socket: Socket, options: ServerOptions = ServerOptions(), limitBytes: Int = defaultLineLimitBytes,
        fileID: StaticString = #fileID, line: UInt = #line,
        _ handle: @concurrent @escaping (sending StreamReader, sending StreamWriter) async throws -> Void
    ) async throws -> sending Server {
        try await startServer(
            sockets: [socket], options: options, limitBytes: limitBytes, fileID: fileID, line: line, handle)
    }

    /// Each connection by a task of its own.
    private static func serve(
        _ limitBytes: Int,
        _ handle: @concurrent @escaping (sending StreamReader, sending StreamWriter) async throws -> Void
    ) -> Accepted {
        { loop, server, driver, peer in
            let transport = StreamTransport(
                loop: loop, driver: driver, consumer: nil, peerAddress: peer, server: server)
            loop.start(ServedConnection(transport, limitBytes: limitBytes, site: server.origin, handle))
        }
    }
}

/// The task that serves one connection: its record holds all that the task needs, so that no closure has to.
private final class ServedConnection: TaskRecord, @unchecked Sendable {
    private let transport: StreamTransport
    /// The streams remember the record of the task that uses them, so the task takes them away from it.
    private var streams: (reader: StreamReader, writer: StreamWriter)?
    private let handle: @concurrent (sending StreamReader, sending StreamWriter) async throws -> Void

    init(
        _ transport: StreamTransport, limitBytes: Int, site: CallSite,
        _ handle: @concurrent @escaping (sending StreamReader, sending StreamWriter) async throws -> Void
    ) {
        self.transport = transport
        streams = transport.makeStreams(limitBytes: limitBytes)
        self.handle = handle
        super.init(loop: transport.loop, name: "connection", site: site)
    }

    /// What a task factory has made of the task, if there is one.
    var madeByFactory: (@concurrent () async -> Void)?

    /// The task, from its first step to its last.
    @concurrent func run() async {
        let handler = begin()
        defer { end(handler) }
        if let madeByFactory { await madeByFactory() } else { await serve() }
    }

    @concurrent @inline(__always)
    func serve() async {
        // A task factory may call this twice.
        guard let streams = streams.take() else { return }
        do {
            // SAFETY: they stay on the loop's thread, or hop there.
            nonisolated(unsafe) let (reader, writer) = streams
            try await handle(reader, writer)
            transport.close()
        } catch {
            transport.handlerFailed(error)
        }
    }
}

extension EventLoop {
    /// Starts the task of a connection, which runs at once up to its first wait.
    fileprivate final func start(_ connection: ServedConnection) {
        connection.assignID()
        if hasTaskFactory { connection.madeByFactory = applyTaskFactory({ await connection.serve() }, connection) }
        connection.register()
        // One that can throw: a task that cannot calls its operation by a thunk, with memory and a frame of its own.
        let task: Task<Void, any Error>
        if #available(macOS 26, *) {
            task = Task.immediate(name: connection.name, executorPreference: self) { await connection.run() }
        } else {
            task = Task(name: connection.name, executorPreference: self) { await connection.run() }
        }
        connection.started(unsafeBitCast(task, to: UInt.self))
    }
}

extension StreamTransport {
    /// Ends the connection whose handler threw, and reports what is worth it.
    ///
    /// Not inlined: its locals would be part of every waiting handler's memory.
    @inline(never)
    fileprivate func handlerFailed(_ error: any Error) {
        // What was written before this program closed the connection is still on its way.
        if error.isEnd(of: self) { return close() }
        // In order, unless that drops something or a write was cut off.
        if error is CancellationError { return abort() }
        reset()
        loop.callExceptionHandler(
            ExceptionContext(
                message: "The handler of a connection failed", error: error, origin: origin, transport: self))
    }
}

extension Error {
    /// Whether it only says that the connection has ended, by its peer or by this program.
    fileprivate func isEnd(of transport: StreamTransport) -> Bool {
        switch self {
        case let error as EventLoopError: transport.isClosing && transport.lossError == nil && error.code == .closed
        case let error as IOError: error == transport.lossError as? IOError
        default: false
        }
    }
}
