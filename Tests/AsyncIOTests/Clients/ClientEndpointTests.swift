import AsyncIOTesting
import CAsyncIO
import SystemPackage
import Testing

@testable import AsyncIO

/// Each kind of endpoint, given to each function that connects.
struct ClientEndpointTests {
    enum Connecting: CaseIterable {
        case createConnection, openConnection, withConnection

        /// Connects to a server that echoes, and returns the address of the peer.
        func ask(_ endpoint: Endpoint, _ options: ConnectionOptions, _ loop: EventLoop) async throws -> SocketAddress? {
            switch self {
            case .createConnection:
                let (transport, recorder) = try await loop.createConnection(to: endpoint, options: options) {
                    Recorder()
                }
                transport.write("hello")
                await loop.until { recorder.received.count == 5 }
                defer { transport.close() }
                return transport.peerAddress
            case .openConnection:
                let (reader, writer) = try await loop.openConnection(to: endpoint, options: options)
                defer { writer.close() }
                try await writer.write("hello")
                #expect(try await reader.readExactly(5) == Array("hello".utf8))
                return writer.peerAddress
            case .withConnection:
                return try await loop.withConnection(to: endpoint, options: options) { reader, writer in
                    try await writer.write("hello")
                    let answer = try await reader.readExactly(5)
                    #expect(answer == Array("hello".utf8))
                    return writer.peerAddress
                }
            }
        }
    }

    @Test(arguments: TestLoop.allAndFiltered, Connecting.allCases)
    func clientConnectsToEachKindOfEndpoint(kind: TestLoop, connecting: Connecting) async throws {
        try await withLoop(kind) { loop in
            let kept = try KeptPort("127.0.0.1", "127.0.0.2")
            defer { kept.close() }
            let server = try await loop.createServer(host: "127.0.0.2", port: kept.number) { EchoProtocol() }
            let addresses = ["127.0.0.1", "127.0.0.2"].map { SocketAddress(literal: $0, port: kept.number)! }
            let given = try Socket.stream(.ipv4)
            try await loop.sock.connect(given, to: addresses[1])
            let endpoints: [Endpoint] = [
                .host("127.0.0.2", port: kept.number), .hosts(["127.0.0.1", "127.0.0.2"], port: kept.number),
                .address(addresses[1]), .addresses(addresses), .socket(given),
            ]
            for endpoint in endpoints {
                let peer = try await connecting.ask(endpoint, ConnectionOptions(), loop)
                #expect(peer == addresses[1], "\(endpoint)")
            }
            await loop.until { server.acceptedCount == endpoints.count && server.connectionCount == 0 }
            server.close()
        }
    }

    @Test(arguments: TestLoop.allAndFiltered, Connecting.allCases)
    func addressMayBeThatOfAUnixSocket(kind: TestLoop, connecting: Connecting) async throws {
        try await withLoop(kind) { loop in
            let address = try #require(SocketAddress(unixPath: SocketPlace.newPath()))
            defer { address.unlinkFile() }
            let server = try await loop.createServer(on: .address(address)) { EchoProtocol() }
            #expect(server.localAddresses == [address])
            #expect(try await connecting.ask(.address(address), ConnectionOptions(), loop) == address)
            await loop.until { server.acceptedCount == 1 && server.connectionCount == 0 }
            server.close()
        }
    }

    // covers: 159
    @Test(arguments: TestLoop.allAndFiltered, Connecting.allCases)
    func errorNamesTheEndpointAndEveryAddress(kind: TestLoop, connecting: Connecting) async throws {
        try await withLoop(kind) { loop in
            let kept = try KeptPort("127.0.0.1", "127.0.0.2")
            defer { kept.close() }
            let endpoint = Endpoint.hosts(["127.0.0.1", "127.0.0.2", "127.0.0.1"], port: kept.number)
            let error = await #expect(throws: ConnectError.self) {
                _ = try await connecting.ask(endpoint, ConnectionOptions(), loop)
            }
            #expect(error?.endpoint.description == endpoint.description)
            #expect(error?.attempts.map(\.address?.host) == ["127.0.0.1", "127.0.0.2"])
            #expect(error?.description.hasPrefix("cannot connect to \(endpoint): tried 127.0.0.1:") == true)
        }
    }

    @Test(arguments: TestLoop.allAndFiltered, Connecting.allCases)
    func unusableEndpointIsRejectedAndItsSocketsAreClosed(kind: TestLoop, connecting: Connecting) async throws {
        try await withLoop(kind) { loop in
            let endpoints: [Endpoint] = [
                .allInterfaces(port: 1), .host("", port: 1), .hosts([], port: 1), .addresses([]), .sockets([]),
            ]
            for endpoint in endpoints {
                #expect(
                    await asyncCode { _ = try await connecting.ask(endpoint, ConnectionOptions(), loop) }
                        == .invalidArgument, "\(endpoint)")
            }
            // Of several sockets, the call closes those that the loop does not use.
            let (near, far) = try Socket.pair()
            let (inUse, other) = try Socket.pair()
            let files = [near, far].map { OpenFile($0.descriptor) }
            let (reader, writer) = try await loop.openConnection(to: .socket(inUse))
            for given in [[near, inUse, near], [far, inUse]] {
                #expect(
                    await asyncCode { _ = try await connecting.ask(.sockets(given), ConnectionOptions(), loop) }
                        == .invalidArgument)
            }
            for file in files { #expect(file.wasClosed) }
            sendByte(other)
            #expect(try await reader.readExactly(1) == [1])
            writer.close()
            other.close()
        }
    }

    @Test(arguments: TestLoop.allAndFiltered, Connecting.allCases)
    func localAddressDoesNotGoWithASocket(kind: TestLoop, connecting: Connecting) async throws {
        try await withLoop(kind) { loop in
            let (near, far) = try Socket.pair()
            let file = OpenFile(near.descriptor)
            let options = ConnectionOptions(localAddress: SocketAddress(literal: "127.0.0.1", port: 0))
            #expect(
                await asyncCode { _ = try await connecting.ask(.socket(near), options, loop) } == .invalidArgument)
            #expect(file.wasClosed)
            far.close()
        }
    }

    // MARK: Options of sockets

    private static let keepAlive = SocketOption(level: SOL_SOCKET, name: SO_KEEPALIVE)
    private static let unknown = SocketOption(level: SOL_SOCKET, name: 9_999)

    @Test func clientDefaultsAreAsyncios() {
        let options = ConnectionOptions()
        #expect(options.localAddress == nil)
        #expect(options.socketOptions == [.noDelay: 1])
        #expect(options.limitBytes == 64 * 1024)
    }

    // covers: 173
    @Test(arguments: TestLoop.allAndFiltered, [false, true])
    func socketGetsTheOptionsOfTheClient(kind: TestLoop, isGiven: Bool) async throws {
        try await withLoop(kind) { loop in
            let server = try await loop.createServer(host: "127.0.0.1", port: 0) { EchoProtocol() }
            func endpoint() async throws -> Endpoint {
                if !isGiven { return .address(server.address) }
                let socket = try Socket.stream(.ipv4)
                try await loop.sock.connect(socket, to: server.address)
                return .socket(socket)
            }
            let (usual, _) = try await loop.createConnection(to: endpoint()) { Recorder() }
            #expect(try usual.socket.option(.noDelay) != 0)
            #expect(try usual.socket.option(Self.keepAlive) == 0)
            let options = ConnectionOptions(socketOptions: [Self.keepAlive: 1])
            let (chosen, _) = try await loop.createConnection(to: endpoint(), options: options) { Recorder() }
            #expect(try chosen.socket.option(.noDelay) == 0)
            #expect(try chosen.socket.option(Self.keepAlive) != 0)
            usual.close()
            chosen.close()
            await loop.until { server.acceptedCount == 2 && server.connectionCount == 0 }
            server.close()
        }
    }

    @Test(arguments: TestLoop.allAndFiltered)
    func errorNamesTheOptionThatCannotBeSet(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let server = try await loop.createServer(host: "127.0.0.1", port: 0) { EchoProtocol() }
            let options = ConnectionOptions(socketOptions: [Self.unknown: 1])
            let error = await #expect(throws: ConnectError.self) {
                _ = try await loop.openConnection(to: .address(server.address), options: options)
            }
            #expect(error?.description.contains("cannot set \(Self.unknown) of a connection to") == true)
            let (near, far) = try Socket.pair()
            let file = OpenFile(near.descriptor)
            let given = await #expect(throws: IOError.self) {
                _ = try await loop.openConnection(to: .socket(near), options: options)
            }
            #expect(given?.description.contains("cannot set \(Self.unknown) of socket \(near.number)") == true)
            #expect(file.wasClosed)
            far.close()
            server.close()
        }
    }
}
