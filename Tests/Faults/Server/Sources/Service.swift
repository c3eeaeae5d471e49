import AsyncIO
import SystemPackage

/// What the server does for its clients.
///
/// - Thread: the loop's.
final class Service {
    private static let pieceBytes = 64 * 1024
    private static let pauseAfterFailure = Duration.milliseconds(100)

    private let loop: EventLoop
    private let style: Style
    private var connections = 0
    /// Whether the last attempt to accept a client has failed, which is reported once.
    private var isFailing = false

    init(_ loop: EventLoop, _ style: Style) {
        self.loop = loop
        self.style = style
    }

    var summary: String { "\(connections) connection\(connections == 1 ? "" : "s")" }

    /// Serves until the task is cancelled.
    func run() async throws {
        loop.setExceptionHandler { _, context in Self.report(context) }
        switch style {
        case .files: try await serveStreams()
        case .sockets, .socketFiles: try await serveSockets()
        }
    }

    private func announce(_ address: SocketAddress) {
        say("listening on \(address) (\(loop.backendName))")
    }

    // MARK: Streams

    private func serveStreams() async throws {
        let server = try await loop.startServer(host: "127.0.0.1", port: 0) { [self] reader, writer in
            connections += 1
            let file = try EchoFile()
            defer { file.close() }
            while let chunk = try await reader.readChunk() {
                try await writer.sendFile(file.descriptor, offset: try file.append(chunk.bytes))
            }
        }
        defer {
            server.close()
            server.abortClients()
        }
        announce(server.localAddresses[0])
        try await server.waitClosed()
    }

    /// Reports an uncaught error in one line, unless it is how a connection ended.
    private static func report(_ context: ExceptionContext) {
        if context.transport != nil, let error = context.error, error.isConnectionClosed || error is CancellationError {
            return
        }
        var context = context
        (context.origin, context.callSite) = (nil, nil)
        complain("\(context)")
    }

    // MARK: Raw operations

    private func serveSockets() async throws {
        let address = try await loop.resolve(host: "127.0.0.1", port: 0)[0]
        let listener = try Socket.stream(for: address)
        defer { try? loop.sock.close(listener) }
        try listener.bind(to: address)
        try listener.listen(backlog: 64)
        guard let bound = listener.localAddress else { throw Errno.noBufferSpace }
        announce(bound)
        while true {
            do {
                let (connection, _) = try await loop.sock.accept(listener)
                isFailing = false
                connections += 1
                _ = loop.createTask { [self] in await serve(connection) }
            } catch let error as IOError {
                if !isFailing { complain("\(error)") }
                isFailing = true
                try await loop.sleep(for: Self.pauseAfterFailure)
            }
        }
    }

    private func serve(_ connection: Socket) async {
        defer { try? loop.sock.close(connection) }
        do {
            try await echo(connection)
        } catch is CancellationError {
        } catch {
            if !error.isConnectionClosed { complain("\(error)") }
        }
    }

    private func echo(_ connection: Socket) async throws {
        let file = style == .socketFiles ? try EchoFile() : nil
        defer { file?.close() }
        var buffer = [UInt8](repeating: 0, count: Self.pieceBytes)
        while true {
            let count = try await loop.sock.recv(connection, into: &buffer)
            if count == 0 { return }
            let bytes = buffer.span.bytes.extracting(..<count)
            if let file {
                try await loop.sock.sendFile(connection, file.descriptor, offset: try file.append(bytes))
            } else {
                try await loop.sock.sendAll(connection, bytes)
            }
        }
    }
}
