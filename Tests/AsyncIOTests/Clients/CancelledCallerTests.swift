import AsyncIO
import AsyncIOTesting
import SystemPackage
import Testing

/// A cancelled task gets no connection, server or accepted client, and the call closes the socket that was passed to
/// it.
struct CancelledCallerTests {
    /// The functions that take over a socket.
    enum Taker: CaseIterable {
        case createConnection, openConnection, withConnection, createServer, createServerOfSeveral
        case startServer, startServerOfSeveral

        var isServer: Bool {
            switch self {
            case .createServer, .createServerOfSeveral, .startServer, .startServerOfSeveral: true
            default: false
            }
        }

        func take(_ socket: Socket, _ loop: EventLoop) async throws {
            switch self {
            case .createConnection: _ = try await loop.createConnection(to: .socket(socket)) { Recorder() }
            case .openConnection: _ = try await loop.openConnection(to: .socket(socket))
            case .withConnection:
                let _: Void = try await loop.withConnection(to: .socket(socket)) { _, _ in
                    Issue.record("the body was called")
                }
            case .createServer: _ = try await loop.createServer(on: .socket(socket)) { Recorder() }
            case .createServerOfSeveral: _ = try await loop.createServer(on: .sockets([socket])) { Recorder() }
            case .startServer: _ = try await loop.startServer(on: .socket(socket)) { _, _ in }
            case .startServerOfSeveral: _ = try await loop.startServer(on: .sockets([socket])) { _, _ in }
            }
        }
    }

    // covers: 75, 162, 163
    @Test(arguments: TestLoop.allAndFiltered, Taker.allCases)
    func cancelledCallClosesTheSocketItWasPassed(kind: TestLoop, taker: Taker) async throws {
        try await withLoop(kind) { loop in
            let (given, peer) = taker.isServer ? (try SocketPlace.ipv4.listen().socket, nil) : try Self.pair()
            let file = OpenFile(given.descriptor)
            let task = loop.createTask { try await taker.take(given, loop) }
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
            #expect(file.wasClosed)
            #expect(loop.statistics.sources == 0)
            peer?.close()
        }
    }

    /// Another object owns the socket, so the cancellation must not close it.
    // covers: 162
    @Test(arguments: TestLoop.allAndFiltered, Taker.allCases)
    func cancelledCallLeavesASocketInUseOpen(kind: TestLoop, taker: Taker) async throws {
        try await withLoop(kind) { loop in
            let (given, peer) = try Self.pair()
            let (transport, _) = try await loop.createConnection(to: .socket(given)) { Recorder() }
            let file = OpenFile(given.descriptor)
            let task = loop.createTask { try await taker.take(given, loop) }
            task.cancel()
            let error = await #expect(throws: EventLoopError.self) { try await task.value }
            #expect(error?.code == .descriptorInUse)
            #expect(!file.wasClosed)
            transport.close()
            peer?.close()
        }
    }

    enum Opener: CaseIterable {
        case createConnection, openConnection, withConnection, createServer, createServerOfHosts, startServer
        case startServerOfHosts

        func open(_ port: UInt16, _ loop: EventLoop) async throws {
            let host = "127.0.0.1"
            switch self {
            case .createConnection: _ = try await loop.createConnection(host: host, port: port) { Recorder() }
            case .openConnection: _ = try await loop.openConnection(host: host, port: port)
            case .withConnection:
                let _: Void = try await loop.withConnection(host: host, port: port) { _, _ in
                    Issue.record("the body was called")
                }
            case .createServer: _ = try await loop.createServer(host: host, port: 0) { Recorder() }
            case .createServerOfHosts: _ = try await loop.createServer(on: .hosts([host], port: 0)) { Recorder() }
            case .startServer: _ = try await loop.startServer(host: host, port: 0) { _, _ in }
            case .startServerOfHosts: _ = try await loop.startServer(on: .hosts([host], port: 0)) { _, _ in }
            }
        }
    }

    // covers: 75, 163
    @Test(arguments: TestLoop.allAndFiltered, Opener.allCases)
    func cancelledCallOpensNothing(kind: TestLoop, opener: Opener) async throws {
        try await withLoop(kind) { loop in
            let server = try await loop.createServer(host: "127.0.0.1", port: 0) { Recorder() }
            let sources = loop.statistics.sources
            let task = loop.createTask { try await opener.open(server.port, loop) }
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
            #expect(loop.statistics.sources == sources)
            // A later client is the first one.
            let (_, writer) = try await loop.openConnection(host: "127.0.0.1", port: server.port)
            await loop.until { server.acceptedCount > 0 }
            #expect(server.acceptedCount == 1)
            writer.close()
            server.close()
            try await server.waitClosed()
        }
    }

    // covers: 163
    @Test(arguments: TestLoop.allAndFiltered)
    func cancellationWhileTheProtocolIsNotifiedEndsTheConnection(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let server = try await loop.createServer(host: "127.0.0.1", port: 0) { Recorder() }
            let recorder = Recorder()
            var task: Task<Void, any Error>?
            recorder.reaction = { event, _ in if event == .made { task?.cancel() } }
            task = loop.createTask {
                _ = try await loop.createConnection(host: "127.0.0.1", port: server.port) { recorder }
            }
            await #expect(throws: CancellationError.self) { try await task?.value }
            await loop.until { recorder.events.count == 2 }
            #expect(recorder.events == [.made, .lost(nil)])
            server.close()
            try await server.waitClosed()
        }
    }

    // covers: 75
    @Test(arguments: TestLoop.allAndFiltered)
    func cancelledCallDoesNotAcceptAWaitingClient(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let (listener, address) = try SocketPlace.ipv4.listen()
            let client = try Socket.stream(.ipv4)
            try await loop.sock.connect(client, to: address)
            waitUntilReadable(listener.descriptor)
            let task = loop.createTask { _ = try await loop.sock.accept(listener) }
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
            // The client is still waiting.
            let accepted = try await loop.sock.accept(listener)
            #expect(accepted.peer == client.localAddress)
            for socket in [accepted.socket, client, listener] { socket.close() }
        }
    }

    private static func pair() throws -> (Socket, Socket?) {
        let (near, far) = try Socket.pair()
        return (near, far)
    }
}
