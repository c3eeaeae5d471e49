import AsyncIO
import AsyncIOTesting
import SystemPackage
import Testing

/// Each kind of endpoint, given to each function that listens.
struct ServerEndpointTests {
    enum Listening: CaseIterable {
        case createServer, startServer

        func listen(
            on endpoint: Endpoint, _ loop: EventLoop, _ options: ServerOptions = ServerOptions()
        ) async throws -> Server {
            switch self {
            case .createServer: try await loop.createServer(on: endpoint, options: options) { EchoProtocol() }
            case .startServer:
                try await loop.startServer(on: endpoint, options: options) { reader, writer in
                    while let chunk = try await reader.readChunk() { try await writer.write(chunk) }
                }
            }
        }

        func listen(host: String?, _ loop: EventLoop) async throws -> Server {
            switch self {
            case .createServer: try await loop.createServer(host: host, port: 0) { EchoProtocol() }
            case .startServer: try await loop.startServer(host: host, port: 0) { _, _ in }
            }
        }
    }

    private static func address(_ host: String, _ port: UInt16 = 0) -> SocketAddress {
        SocketAddress(literal: host, port: port)!
    }

    private static func boundSocket(_ host: String) throws -> Socket {
        let socket = try Socket.stream(.ipv4)
        try socket.bind(to: address(host))
        return socket
    }

    // covers: 169
    @Test(arguments: TestLoop.allAndFiltered, Listening.allCases)
    func serverListensOnEachKindOfEndpoint(kind: TestLoop, listening: Listening) async throws {
        try await withLoop(kind) { loop in
            let both = ["127.0.0.1", "127.0.0.2"]
            let endpoints: [(Endpoint, hosts: [String])] = [
                (.host("127.0.0.1", port: 0), ["127.0.0.1"]), (.hosts(both + ["127.0.0.1"], port: 0), both),
                (.address(Self.address("127.0.0.2")), ["127.0.0.2"]),
                (.addresses((both + ["127.0.0.2"]).map { Self.address($0) }), both),
                (.socket(try Self.boundSocket("127.0.0.2")), ["127.0.0.2"]),
                (.sockets(try both.map(Self.boundSocket)), both),
            ]
            for (endpoint, hosts) in endpoints {
                let server = try await listening.listen(on: endpoint, loop)
                #expect(server.localAddresses.map(\.host) == hosts, "\(endpoint)")
                for address in server.localAddresses {
                    try await loop.withConnection(to: .address(address)) { reader, writer in
                        try await writer.write("hello")
                        let answer = try await reader.readExactly(5)
                        #expect(answer == Array("hello".utf8))
                    }
                }
                await loop.until { server.acceptedCount == hosts.count && server.connectionCount == 0 }
                server.close()
            }
        }
    }

    @Test(arguments: TestLoop.allAndFiltered, Listening.allCases)
    func allInterfacesAreThoseOfBothFamilies(kind: TestLoop, listening: Listening) async throws {
        try await withLoop(kind) { loop in
            let servers = [
                try await listening.listen(on: .allInterfaces(port: 0), loop),
                try await listening.listen(on: .host("", port: 0), loop),
                try await listening.listen(host: nil, loop), try await listening.listen(host: "", loop),
            ]
            for server in servers {
                #expect(server.localAddresses.first?.host == "0.0.0.0")
                #expect(server.localAddresses.dropFirst().allSatisfy { $0.host == "::" })
                #expect(Set(server.localAddresses.map(\.port)).count == 1)
                server.close()
            }
        }
    }

    /// The port that is chosen for one address is not that of an address whose port is given.
    @Test(arguments: TestLoop.allAndFiltered)
    func addressesMayHaveDifferentPorts(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let kept = try KeptPort("127.0.0.1")
            defer { kept.close() }
            let addresses = [
                Self.address("127.0.0.1", kept.number), Self.address("127.0.0.2"), Self.address("127.0.0.3"),
            ]
            let server = try await loop.createServer(on: .addresses(addresses)) { EchoProtocol() }
            let ports = server.localAddresses.map(\.port)
            #expect(ports.count == 3 && ports[0] == kept.number && ports[1] != kept.number && ports[1] == ports[2])
            server.close()
        }
    }

    // covers: 162
    @Test(arguments: TestLoop.allAndFiltered, Listening.allCases)
    func unusableEndpointIsRejected(kind: TestLoop, listening: Listening) async throws {
        try await withLoop(kind) { loop in
            for endpoint in [Endpoint.hosts([], port: 0), .addresses([]), .sockets([])] {
                #expect(
                    await asyncCode { _ = try await listening.listen(on: endpoint, loop) } == .invalidArgument,
                    "\(endpoint)")
            }
        }
    }

    /// The call owns the other sockets only.
    // covers: 162, 170
    @Test(arguments: TestLoop.allAndFiltered, Listening.allCases)
    func socketInUseStaysOpenIfAnotherIsRejected(kind: TestLoop, listening: Listening) async throws {
        try await withLoop(kind) { loop in
            let inUse = try Self.boundSocket("127.0.0.1")
            let first = try await listening.listen(on: .socket(inUse), loop)
            for isTwice in [false, true] {
                let other = isTwice ? try Self.boundSocket("127.0.0.1") : try Socket.datagram(.ipv4)
                let file = OpenFile(other.descriptor)
                let given = isTwice ? [other, inUse, other] : [other, inUse]
                let code = await asyncCode { _ = try await listening.listen(on: .sockets(given), loop) }
                #expect(code == .invalidArgument)
                #expect(file.wasClosed)
            }
            let bad = ServerOptions(limitBytes: 0)
            if listening == .startServer {
                let code = await asyncCode { _ = try await listening.listen(on: .socket(inUse), loop, bad) }
                #expect(code == .invalidArgument)
            }
            try await loop.withConnection(to: .address(first.address)) { reader, writer in
                try await writer.write("x")
                let answer = try await reader.readExactly(1)
                #expect(answer == Array("x".utf8))
            }
            await loop.until { first.connectionCount == 0 }
            first.close()
        }
    }

    // covers: 162
    @Test(arguments: TestLoop.allAndFiltered, Listening.allCases)
    func socketsPassedOnAnotherThreadAreClosed(kind: TestLoop, listening: Listening) async throws {
        try await withLoop(kind) { loop in
            let sockets = try ["127.0.0.1", "127.0.0.2"].map(Self.boundSocket)
            let files = sockets.map { OpenFile($0.descriptor) }
            let code = await Task.detached {
                await asyncCode { _ = try await listening.listen(on: .sockets(sockets + sockets), loop) }
            }.value
            #expect(code == .wrongThread)
            for file in files { #expect(file.wasClosed) }
        }
    }
}
