import AsyncIO
import AsyncIOTesting
import SystemPackage
import Testing

/// Serving until the server is closed, and shutting down in bounded time.
struct ServerServingTests {
    @Test(arguments: TestLoop.allAndFiltered)
    func serverMayStartLater(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            var options = ServerOptions()
            options.startsServing = false
            let server = try await loop.createServer(host: "127.0.0.1", port: 0, options: options) { EchoProtocol() }
            #expect(!server.isServing)
            await #expect(throws: ConnectError.self) {
                _ = try await loop.openConnection(host: "127.0.0.1", port: server.port)
            }
            try server.startServing()
            try server.startServing()
            #expect(server.isServing)
            let (_, writer) = try await loop.openConnection(host: "127.0.0.1", port: server.port)
            writer.close()
            await loop.until { server.acceptedCount == 1 && server.connectionCount == 0 }
            server.close()
            #expect(!server.isServing)
            let error = #expect(throws: EventLoopError.self) { try server.startServing() }
            #expect(error?.code == .closed)
        }
    }

    /// The socket is not watched yet, but the loop must close it.
    // covers: 36
    @Test(arguments: TestLoop.allAndFiltered)
    func serverThatNeverStartedEndsWithItsLoop(kind: TestLoop) async throws {
        let file = try await withLoop(kind, LoopTestOptions(allowsLeftoverWork: true)) { loop in
            var options = ServerOptions()
            options.startsServing = false
            let server = try await loop.createServer(host: "127.0.0.1", port: 0, options: options) { EchoProtocol() }
            return OpenFile(try #require(server.sockets[0].descriptor))
        }
        #expect(file.wasClosed)
    }

    // covers: 171
    @Test(arguments: TestLoop.allAndFiltered)
    func serveForeverReturnsWhenTheServerIsClosed(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            var options = ServerOptions()
            options.startsServing = false
            let server = try await loop.createServer(host: "127.0.0.1", port: 0, options: options) { EchoProtocol() }
            let serving = loop.createTask { try await server.serveForever() }
            await loop.until { server.isServing }
            #expect(await asyncCode { try await server.serveForever() } == .busy)
            let (reader, writer) = try await loop.openConnection(host: "127.0.0.1", port: server.port)
            try await writer.write("x")
            _ = try await reader.readExactly(1)
            server.close()
            await loop.yield()
            #expect(loop.statistics.tasks == 2)
            writer.close()
            try await serving.value
            #expect(await asyncCode { try await server.serveForever() } == .closed)
        }
    }

    // covers: F62
    @Test(arguments: TestLoop.allAndFiltered)
    func cancelledServeForeverClosesTheServerInBoundedTime(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let server = try await loop.createServer(host: "127.0.0.1", port: 0) { EchoProtocol() }
            // This connection never ends by itself.
            let (reader, writer) = try await loop.openConnection(host: "127.0.0.1", port: server.port)
            try await writer.write("x")
            _ = try await reader.readExactly(1)
            let serving = loop.createTask { try await server.serveForever(shutDownWithin: .milliseconds(20)) }
            await loop.yield()
            serving.cancel()
            await #expect(throws: CancellationError.self) { try await serving.value }
            #expect(!server.isServing && server.connectionCount == 0)
            #expect(try await reader.read(maxBytes: 1).isEmpty)
            writer.close()
        }
    }

    // covers: F62
    @Test(arguments: TestLoop.allAndFiltered, [false, true])
    func shutDownWaitsAndThenAborts(kind: TestLoop, clientsEnd: Bool) async throws {
        try await withVirtualLoop(kind) { loop in
            let server = try await loop.createServer(host: "127.0.0.1", port: 0) { EchoProtocol() }
            var clients: [(reader: StreamReader, writer: StreamWriter)] = []
            for _ in 0..<3 {
                let client = try await loop.openConnection(host: "127.0.0.1", port: server.port)
                try await client.writer.write("x")
                _ = try await client.reader.readExactly(1)
                clients.append(client)
            }
            let start = loop.now
            let draining = loop.createTask { try await server.shutDown(within: .seconds(10)) }
            try await loop.sleep(for: .seconds(4))
            #expect(!server.isServing && server.connectionCount == 3)
            clients[0].writer.close()
            if clientsEnd { for client in clients { client.writer.close() } }
            // No virtual time passes here. Waiting for a task would let it pass before the kernel has reported the
            // ends.
            await loop.until { server.connectionCount == (clientsEnd ? 0 : 2) }
            let report = try await draining.value
            #expect(report.served == 3 && report.drained == (clientsEnd ? 3 : 1) && report.cancelled == 0)
            #expect(report.aborted == (clientsEnd ? 0 : 2))
            let waited = clientsEnd ? 4 : 10
            #expect(loop.now < start.advanced(by: .seconds(waited)).advanced(by: .milliseconds(100)))
            #expect(server.connectionCount == 0)
            for client in clients { client.writer.close() }
        }
    }

    // covers: F62
    @Test(arguments: TestLoop.allAndFiltered)
    func cancelledShutDownAbortsAtOnce(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let server = try await loop.createServer(host: "127.0.0.1", port: 0) { EchoProtocol() }
            let (reader, writer) = try await loop.openConnection(host: "127.0.0.1", port: server.port)
            await loop.until { server.connectionCount == 1 }
            let draining = loop.createTask { try await server.shutDown(within: .seconds(3_600)) }
            await loop.yield()
            draining.cancel()
            await #expect(throws: CancellationError.self) { try await draining.value }
            #expect(try await reader.read(maxBytes: 1).isEmpty)
            writer.close()
            await loop.until { server.connectionCount == 0 }
        }
    }

    struct ExampleError: Error {}

    // covers: F62
    @Test(arguments: TestLoop.allAndFiltered, [false, true])
    func scopeClosesItsServer(kind: TestLoop, fails: Bool) async throws {
        try await withLoop(kind) { loop in
            let server = try await loop.createServer(host: "127.0.0.1", port: 0) { EchoProtocol() }
            var left: StreamWriter?
            do {
                let answer = try await server.withServing(shutDownWithin: .milliseconds(10)) {
                    let (reader, writer) = try await loop.openConnection(host: "127.0.0.1", port: server.port)
                    left = writer
                    try await writer.write("hello")
                    let answer = try await reader.readExactly(5)
                    if fails { throw ExampleError() }
                    return answer
                }
                #expect(!fails && answer == Array("hello".utf8))
            } catch is ExampleError {
                #expect(fails)
            }
            #expect(!server.isServing && server.connectionCount == 0)
            left?.close()
        }
    }

    // covers: F62
    @Test(arguments: TestLoop.allAndFiltered, [false, true])
    func cancelledScopeClosesItsServerInBoundedTime(kind: TestLoop, ignoresIt: Bool) async throws {
        try await withLoop(kind) { loop in
            let server = try await loop.createServer(host: "127.0.0.1", port: 0) { EchoProtocol() }
            // This connection never ends by itself.
            let (reader, writer) = try await loop.openConnection(host: "127.0.0.1", port: server.port)
            await loop.until { server.connectionCount == 1 }
            let serving = loop.createTask {
                try await server.withServing(shutDownWithin: .milliseconds(10)) {
                    do { try await loop.sleep(for: .seconds(3_600)) } catch { if !ignoresIt { throw error } }
                    return 42
                }
            }
            await loop.yield()
            serving.cancel()
            if ignoresIt {
                let result = try await serving.value
                #expect(result == 42)
            } else {
                await #expect(throws: CancellationError.self) { try await serving.value }
            }
            #expect(!server.isServing && server.connectionCount == 0)
            #expect(try await reader.read(maxBytes: 1).isEmpty)
            writer.close()
        }
    }

    /// Two sockets may have one address, but only one of them listens.
    @Test(arguments: TestLoop.allAndFiltered)
    func serverStartsOnAllOfItsSocketsOrOnNone(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let sockets = try (0..<3).map { _ in try Socket.stream(.ipv4) }
            let (first, second, rival) = (sockets[0], sockets[1], sockets[2])
            for socket in sockets { try socket.setOption(.reuseAddress, to: 1) }
            for socket in [first, second] { try socket.bind(to: SocketAddress(literal: "127.0.0.1", port: 0)!) }
            try rival.bind(to: second.localAddress!)
            try rival.listen(backlog: 1)
            var options = ServerOptions()
            options.startsServing = false
            let server = try await loop.createServer(on: .sockets([first, second]), options: options) { EchoProtocol() }
            for _ in 0..<2 {
                let error = #expect(throws: IOError.self) { try server.startServing() }
                #expect(error?.errno == .addressInUse && error?.address == server.localAddresses[1])
                #expect(!server.isServing)
            }
            // The kernel completes the connection to the socket that listens already; no program accepts it.
            let client = try Socket.stream(.ipv4)
            try await loop.sock.connect(client, to: server.localAddresses[0])
            for _ in 0..<20 { await loop.yield() }
            #expect(server.acceptedCount == 0)
            #expect(code { try loop.addReader(first.descriptor) {} } == .descriptorInUse)

            // Not closed, because a child process that is being started may have a duplicate, which would continue to
            // listen.
            try rival.shutdown()
            try server.startServing()
            #expect(server.isServing)
            await loop.until { server.acceptedCount == 1 }
            client.close()
            rival.close()
            await loop.until { server.connectionCount == 0 }
            server.close()
        }
    }
}
