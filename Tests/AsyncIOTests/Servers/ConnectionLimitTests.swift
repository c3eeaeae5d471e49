import AsyncIO
import AsyncIOTesting
import SystemPackage
import Testing

/// A server with a limit of connections: the others wait in the kernel's queue.
struct ConnectionLimitTests {
    private static func connect(_ loop: EventLoop, _ server: Server) async throws -> Socket {
        let socket = try Socket.stream(for: server.address)
        try await loop.sock.connect(socket, to: server.address)
        return socket
    }

    private static func ask(_ loop: EventLoop, _ socket: Socket) async throws {
        try await loop.sock.sendAll(socket, [7])
        #expect(try await loop.sock.recv(socket, maxBytes: 10) == [7])
    }

    // covers: 166
    @Test(arguments: TestLoop.allAndFiltered, [1, 3])
    func clientsBeyondTheLimitWaitForAPlace(kind: TestLoop, limit: Int) async throws {
        try await withVirtualLoop(kind) { loop in
            let options = ServerOptions(maxConnections: limit)
            let server = try await loop.createServer(host: "127.0.0.1", port: 0, options: options) { EchoProtocol() }
            var clients: [Socket] = []
            for _ in 0..<10 { clients.append(try await Self.connect(loop, server)) }
            await loop.until { server.connectionCount == limit }
            for client in clients { try await loop.sock.sendAll(client, [7]) }
            // Time passes only while the loop waits, so it does not spin.
            let ticks = loop.statistics.ticks
            try await loop.sleep(for: .seconds(3_600))
            #expect(loop.statistics.ticks - ticks < 60)
            #expect(server.acceptedCount == limit && server.connectionCount == limit)
            while let client = clients.first {
                #expect(try await loop.sock.recv(client, maxBytes: 10) == [7])
                #expect(server.connectionCount <= limit)
                clients.removeFirst()
                try loop.sock.close(client)
                await loop.until { server.connectionCount == min(limit, clients.count) }
            }
            #expect(server.acceptedCount == 10)
            server.close()
        }
    }

    /// The handlers of `startServer` count as well, on all addresses of the server together.
    @Test(arguments: TestLoop.allAndFiltered)
    func limitAppliesToAllAddressesTogether(kind: TestLoop) async throws {
        try await withVirtualLoop(kind) { loop in
            var most = 0
            var open = 0
            let server = try await loop.startServer(
                on: .hosts(["127.0.0.1", "127.0.0.2"], port: 0), options: ServerOptions(maxConnections: 2)
            ) { reader, writer in
                open += 1
                most = max(most, open)
                defer { open -= 1 }
                try await writer.write(try await reader.readExactly(1))
            }
            var clients: [Socket] = []
            for number in 0..<8 {
                let client = try Socket.stream(.ipv4)
                try await loop.sock.connect(client, to: server.localAddresses[number % 2])
                clients.append(client)
            }
            try await loop.sleep(for: .seconds(1))
            #expect(open == 2 && server.acceptedCount == 2)
            for client in clients { try await loop.sock.sendAll(client, [7]) }
            for client in clients { #expect(try await loop.sock.recv(client, maxBytes: 10) == [7]) }
            #expect(most == 2 && server.acceptedCount == 8)
            for client in clients { try loop.sock.close(client) }
            await loop.until { server.connectionCount == 0 }
            server.close()
        }
    }

    /// Those that wait get EOF or a reset, and those that are served stay connected.
    // covers: 182
    @Test(.expectsReleasedFiles, arguments: TestLoop.allAndFiltered)
    func closingAFullServerEndsTheClientsThatWait(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let directory = try SocketDirectory()
            defer { directory.remove() }
            let options = ServerOptions(maxConnections: 1)
            let server = try await loop.createServer(on: .unix(directory.file()), options: options) { EchoProtocol() }
            var clients: [Socket] = []
            for _ in 0..<20 { clients.append(try await Self.connect(loop, server)) }
            try await Self.ask(loop, clients[0])
            server.close()
            for client in clients.dropFirst() {
                do {
                    #expect(try await loop.sock.recv(client, maxBytes: 1).isEmpty)
                } catch let error as IOError {
                    #expect(error.errno == .connectionReset)
                }
            }
            try await Self.ask(loop, clients[0])
            #expect(server.acceptedCount == 1)
            for client in clients { try loop.sock.close(client) }
            try await server.waitClosed()
        }
    }

    /// A client that has not finished its handshake takes a place, until its handshake fails.
    @Test(arguments: TestLoop.all)
    func connectionsThatAreNotEstablishedCount(kind: TestLoop) async throws {
        try await withVirtualLoop(kind) { loop in
            let options = ServerOptions(makeFilter: { GreetingFilter() }, maxConnections: 1)
            let server = try await loop.createServer(host: "127.0.0.1", port: 0, options: options) { EchoProtocol() }
            let greeting = Array("HELLO".utf8)
            let first = try await Self.connect(loop, server)
            let second = try await Self.connect(loop, server)
            try await loop.sock.sendAll(second, greeting)
            for _ in 0..<50 { await loop.yield() }
            #expect(server.acceptedCount == 0)
            try loop.sock.close(first)
            await loop.until { server.acceptedCount == 1 }
            #expect(try await loop.sock.recv(second, maxBytes: 5) == greeting)
            try await Self.ask(loop, second)
            // The next one waits for this one.
            let third = try await Self.connect(loop, server)
            try await loop.sock.sendAll(third, greeting)
            for _ in 0..<50 { await loop.yield() }
            #expect(server.acceptedCount == 1)
            server.abortClients()
            await loop.until { server.acceptedCount == 2 }
            for client in [second, third] { try loop.sock.close(client) }
            await loop.until { server.connectionCount == 0 }
            server.close()
        }
    }

    /// A factory that throws takes no place.
    @Test(arguments: TestLoop.all)
    func failedConnectionsFreeTheirPlaces(kind: TestLoop) async throws {
        struct ExampleError: Error {}
        try await withVirtualLoop(kind, LoopTestOptions(unhandledErrors: 3)) { loop in
            var failures = 3
            let options = ServerOptions(maxConnections: 1)
            let server = try await loop.createServer(host: "127.0.0.1", port: 0, options: options) {
                failures -= 1
                if failures >= 0 { throw ExampleError() }
                return EchoProtocol()
            }
            var clients: [Socket] = []
            for _ in 0..<4 { clients.append(try await Self.connect(loop, server)) }
            await loop.until { server.acceptedCount == 1 }
            try await Self.ask(loop, clients[3])
            for client in clients { try loop.sock.close(client) }
            await loop.until { server.connectionCount == 0 }
            server.close()
        }
    }
}
