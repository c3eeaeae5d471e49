import AsyncIO

/// The checks of ``checkStreams(_:filter:_:)``.
struct StreamChecks: Sendable {
    let makeFilter: (@Sendable () -> any StreamFilter)?

    private static let large = 1 << 20

    var all: [LoopCheck] {
        [
            LoopCheck("echo of small messages by streams") { loop in try await echoSmall(by: .streams, on: loop) },
            LoopCheck("echo of small messages by protocols") { loop in try await echoSmall(by: .protocols, on: loop) },
            LoopCheck("echo of 1 MiB by streams") { loop in try await echoLarge(by: .streams, on: loop) },
            LoopCheck("echo of 1 MiB by protocols") { loop in try await echoLarge(by: .protocols, on: loop) },
            LoopCheck("a client's protocol") { loop in try await clientProtocol(on: loop) },
            LoopCheck("half-close") { loop in try await halfClose(on: loop) },
            LoopCheck("EOF within a message") { loop in try await earlyEOF(on: loop) },
            LoopCheck("back-pressure with a slow reader") { loop in try await backPressure(on: loop) },
            LoopCheck("cancellation of a read") { loop in try await cancelledRead(on: loop) },
            LoopCheck("close while writing") { loop in try await closeWhileWriting(on: loop) },
            LoopCheck("a peer that aborts") { loop in try await abortingPeer(on: loop) },
            LoopCheck("a refused connection") { loop in try await refusedConnection(on: loop) },
            LoopCheck("many connections") { loop in try await manyConnections(on: loop) },
        ]
    }

    // MARK: Echo

    private func echoSmall(by style: EchoStyle, on loop: EventLoop) async throws {
        try await withEchoConnection(style, on: loop) { reader, writer in
            for round in 0..<100 {
                let message = pattern(1 + round * 7)
                try await writer.write(message)
                let answer = try await reader.readExactly(message.count)
                try expect(answer == message, "an echo of the \(message.count) bytes of round \(round)")
            }
        }
    }

    private func echoLarge(by style: EchoStyle, on loop: EventLoop) async throws {
        try await withEchoConnection(style, on: loop) { reader, writer in
            let message = pattern(Self.large)
            let writing = loop.createTask { try await writer.write(message) }
            let answer = try await reader.readExactly(message.count)
            try await writing.value
            try expect(answer == message, "an echo of all bytes, in their order")
        }
    }

    private func clientProtocol(on loop: EventLoop) async throws {
        let server = try await startEchoServer(.streams, on: loop)
        let message = pattern(100_000)
        let collector = Collector(expecting: message.count, on: loop)
        let (transport, _) = try await loop.createConnection(
            host: "127.0.0.1", port: server.port, options: clientOptions
        ) { collector }
        transport.write(message)
        try await collector.receivedAll.value
        try expect(collector.bytes == message, "an echo of all bytes, in their order")
        transport.close()
        try await collector.lost.value
        try await end(server)
    }

    private func manyConnections(on loop: EventLoop) async throws {
        let server = try await startEchoServer(.streams, on: loop)
        let port = server.port
        let options = clientOptions
        let clients = (0..<50).map { number in
            loop.createTask {
                let (reader, writer) = try await loop.openConnection(host: "127.0.0.1", port: port, options: options)
                defer { writer.close() }
                for round in 0..<10 {
                    let message = Array("client \(number), round \(round)\n".utf8)
                    try await writer.write(message)
                    let answer = try await reader.readExactly(message.count)
                    try expect(answer == message, "an echo for client \(number) in round \(round)")
                }
            }
        }
        for client in clients { try await client.value }
        try expect(server.acceptedCount == clients.count, "\(clients.count) accepted connections")
        try await end(server)
    }

    // MARK: EOF and closing

    private func halfClose(on loop: EventLoop) async throws {
        let request = pattern(100_000)
        let response = pattern(300_001)
        try await withServer(on: loop) { reader, writer in
            let received = try await reader.readAll(limitBytes: Self.large)
            try expect(received == request && reader.isAtEOF, "the whole request, then EOF")
            try await writer.write(response)
        } client: { reader, writer in
            try await writer.write(request)
            try await writer.writeEOF()
            let received = try await reader.readAll(limitBytes: Self.large)
            try expect(received == response, "the whole response after the half-close, then EOF")
        }
    }

    private func earlyEOF(on loop: EventLoop) async throws {
        try await withServer(on: loop) { _, writer in
            try await writer.write("abc")
        } client: { reader, _ in
            try await expectError("an IncompleteReadError with 3 bytes") {
                ($0 as? IncompleteReadError)?.partial == Array("abc".utf8)
            } from: {
                _ = try await reader.readExactly(10)
            }
            let count = try await reader.read(maxBytes: 10).count
            try expect(count == 0, "EOF again")
        }
    }

    private func closeWhileWriting(on loop: EventLoop) async throws {
        let message = pattern(4 * Self.large)
        try await withServer(on: loop) { _, writer in
            let writing = loop.createTask(eagerStart: true) { try await writer.write(message) }
            // The close waits for the write, which began before.
            writer.close()
            try await writing.value
        } client: { reader, _ in
            let received = try await reader.readAll(limitBytes: message.count)
            try expect(received == message, "the whole message that was being written, then EOF")
        }
    }

    private func abortingPeer(on loop: EventLoop) async throws {
        let served = loop.createFuture(of: Void.self)
        try await withServer(on: loop) { reader, writer in
            defer { try? served.setResult(()) }
            let first = try await reader.read(maxBytes: 1)
            try expect(first.count == 1, "one byte")
            try await expectError("an error that says that the connection has ended") {
                $0.isConnectionClosed
            } from: {
                // More than the buffers of both sockets hold.
                for _ in 0..<64 { try await writer.write([UInt8](repeating: 7, count: Self.large)) }
            }
        } client: { _, writer in
            try await writer.write("x")
            try await loop.sleep(for: .milliseconds(10))
            writer.reset()
            try await served.value
        }
    }

    private func refusedConnection(on loop: EventLoop) async throws {
        // Nobody listens on a port that is only bound.
        let socket = try Socket.stream(.ipv4)
        defer { socket.close() }
        try socket.bind(to: SocketAddress(literal: "127.0.0.1", port: 0)!)
        let address = socket.localAddress!
        try await expectError("a ConnectError with ECONNREFUSED") {
            ($0 as? ConnectError)?.attempts.map(\.errno) == [.connectionRefused]
        } from: {
            _ = try await loop.openConnection(to: .address(address), options: clientOptions)
        }
    }

    // MARK: Waiting

    private func backPressure(on loop: EventLoop) async throws {
        let message = pattern(64 * 1024)
        let rounds = 64
        let progress = Progress()
        // Small buffers, which hold much less than all messages.
        var (server, client) = (serverOptions, clientOptions)
        server.socketOptions[.sendBufferBytes] = 32 * 1024
        client.socketOptions[.receiveBufferBytes] = 32 * 1024
        try await withServer(on: loop, server, client) { _, writer in
            for _ in 0..<rounds {
                try await writer.write(message)
                progress.rounds += 1
            }
        } client: { reader, _ in
            // The server writes until the buffers are full.
            var former = -1
            while former != progress.rounds {
                former = progress.rounds
                try await loop.sleep(for: .milliseconds(20))
            }
            try expect(progress.rounds < rounds, "a writer that waits for a reader that reads nothing")
            for round in 0..<rounds {
                let received = try await reader.readExactly(message.count)
                try expect(received == message, "message \(round) of a writer that had to wait")
            }
            let count = try await reader.read(maxBytes: 1).count
            try expect(count == 0, "EOF after the last message")
        }
    }

    private func cancelledRead(on loop: EventLoop) async throws {
        try await withEchoConnection(.streams, on: loop) { reader, writer in
            for round in 0..<3 {
                let reading = loop.createTask(eagerStart: true) { try await reader.readExactly(4) }
                // From the first iteration on, a completion loop has a receive in progress.
                for _ in 0..<round { await loop.yield() }
                reading.cancel()
                try await expectError("a CancellationError") {
                    $0 is CancellationError
                } from: {
                    _ = try await reading.value
                }
                try await writer.write("more")
                let received = try await reader.readExactly(4)
                try expect(received == Array("more".utf8), "the bytes that came after the cancelled read")
            }
        }
    }
}

/// What the stream checks share.
extension StreamChecks {
    fileprivate enum EchoStyle {
        case streams
        case protocols
    }

    fileprivate var clientOptions: ConnectionOptions { ConnectionOptions(makeFilter: makeFilter) }
    fileprivate var serverOptions: ServerOptions { ServerOptions(makeFilter: makeFilter) }

    fileprivate func startEchoServer(_ style: EchoStyle, on loop: EventLoop) async throws -> Server {
        switch style {
        case .protocols:
            try await loop.createServer(host: "127.0.0.1", port: 0, options: serverOptions) { EchoProtocol() }
        case .streams:
            try await loop.startServer(host: "127.0.0.1", port: 0, options: serverOptions) { reader, writer in
                var buffer = [UInt8](repeating: 0, count: 64 * 1024)
                while let count = try await reader.read(into: &buffer) { try await writer.write(buffer[..<count]) }
            }
        }
    }

    fileprivate func withEchoConnection(
        _ style: EchoStyle, on loop: EventLoop, _ body: (StreamReader, StreamWriter) async throws -> Void
    ) async throws {
        let server = try await startEchoServer(style, on: loop)
        try await connect(to: server, on: loop, body)
        try await end(server)
    }

    /// Connects a client to a server with the handler `serve`. Throws the handler's error too, because that is what
    /// the client fails of.
    fileprivate func withServer(
        on loop: EventLoop, _ serverOptions: ServerOptions? = nil, _ clientOptions: ConnectionOptions? = nil,
        _ serve: @concurrent @escaping (StreamReader, StreamWriter) async throws -> Void,
        client: (StreamReader, StreamWriter) async throws -> Void
    ) async throws {
        let progress = Progress()
        let options = serverOptions ?? self.serverOptions
        let server = try await loop.startServer(host: "127.0.0.1", port: 0, options: options) { reader, writer in
            do {
                try await serve(reader, writer)
            } catch let error as UnmetExpectation {
                progress.failure = error
                writer.reset()
            }
        }
        do {
            try await connect(to: server, clientOptions, on: loop, client)
        } catch {
            throw progress.failure ?? error
        }
        try await end(server)
        if let failure = progress.failure { throw failure }
    }

    private func connect(
        to server: Server, _ options: ConnectionOptions? = nil, on loop: EventLoop,
        _ body: (StreamReader, StreamWriter) async throws -> Void
    ) async throws {
        let (reader, writer) = try await loop.openConnection(
            host: "127.0.0.1", port: server.port, options: options ?? clientOptions)
        defer { writer.close() }
        try await body(reader, writer)
    }

    fileprivate func end(_ server: Server) async throws {
        server.close()
        try await server.waitClosed()
    }
}

extension Server {
    fileprivate var port: UInt16 { localAddresses[0].port! }
}

/// How far the server of a check has come.
private final class Progress {
    var rounds = 0
    var failure: UnmetExpectation?
}

/// Returns bytes whose order can be checked, because pieces of usual sizes do not repeat.
private func pattern(_ count: Int) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(count)
    while bytes.count < count { bytes += patternPiece.prefix(count - bytes.count) }
    return bytes
}

private let patternPiece = (0..<65_521).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }

/// Echoes, and reads nothing while its write buffer is full.
private final class EchoProtocol: StreamProtocol {
    private var transport: StreamTransport?

    func connectionMade(_ transport: StreamTransport) { self.transport = transport }
    func dataReceived(_ data: RawSpan) { transport?.write(data) }
    func pauseWriting() { transport?.pauseReading() }
    func resumeWriting() { transport?.resumeReading() }
    func connectionLost(_ error: (any Error)?) { transport = nil }
}

/// Collects a number of bytes.
private final class Collector: StreamProtocol {
    private let count: Int
    private(set) var bytes: [UInt8] = []
    let receivedAll: Future<Void>
    let lost: Future<Void>

    init(expecting count: Int, on loop: EventLoop) {
        self.count = count
        receivedAll = loop.createFuture()
        lost = loop.createFuture()
    }

    func connectionMade(_ transport: StreamTransport) {}

    func dataReceived(_ data: RawSpan) throws {
        data.withUnsafeBytes { bytes += $0 }
        if bytes.count >= count { try receivedAll.setResult(()) }
    }

    func connectionLost(_ error: (any Error)?) throws {
        if !receivedAll.isDone {
            try receivedAll.setException(error ?? UnmetExpectation(expectation: "an echo before EOF"))
        }
        try lost.setResult(())
    }
}
