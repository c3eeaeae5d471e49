import AsyncIOTesting
import SystemPackage
import Testing

@testable import AsyncIO

/// The sockets that a server opens.
struct ListeningTests {
    // covers: 169
    @Test(arguments: TestLoop.allAndFiltered)
    func serverListensOnSeveralHostsOnceEachOnOnePort(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let server = try await loop.createServer(on: .hosts(["127.0.0.1", "127.0.0.2", "127.0.0.1"], port: 0)) {
                EchoProtocol()
            }
            #expect(server.localAddresses.map(\.host) == ["127.0.0.1", "127.0.0.2"])
            #expect(Set(server.localAddresses.map(\.port)).count == 1)
            for address in server.localAddresses {
                let (_, writer) = try await loop.openConnection(host: address.host, port: server.port)
                writer.close()
            }
            await loop.until { server.acceptedCount == 2 && server.connectionCount == 0 }
            server.close()
            #expect(
                await asyncCode { _ = try await loop.createServer(on: .hosts([], port: 0)) { EchoProtocol() } }
                    == .invalidArgument)
        }
    }

    // covers: 169
    @Test(.enabled(if: SocketPlace.hasIPv6), arguments: TestLoop.allAndFiltered)
    func allInterfacesIncludeBothFamiliesOnOnePort(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let server = try await loop.createServer(port: 0) { EchoProtocol() }
            #expect(server.localAddresses.map(\.host) == ["0.0.0.0", "::"])
            #expect(server.localAddresses[0].port == server.localAddresses[1].port)
            #expect(try server.sockets[1].option(.ipv6Only) != 0)
            for host in ["127.0.0.1", "::1"] {
                let (_, writer) = try await loop.openConnection(host: host, port: server.port)
                writer.close()
            }
            await loop.until { server.acceptedCount == 2 && server.connectionCount == 0 }
            server.close()
        }
    }

    // covers: 169
    @Test(.enabled(if: SocketPlace.hasIPv6), arguments: TestLoop.allAndFiltered)
    func ipv6WildcardAcceptsNoIPv4Connections(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let kept = try KeptPort("0.0.0.0", "::")
            defer { kept.close() }
            let server = try await loop.createServer(host: "::", port: kept.number) { EchoProtocol() }
            let (_, writer) = try await loop.openConnection(host: "::1", port: server.port)
            writer.close()
            // Another server can have the port of the other family.
            let other = try await loop.createServer(host: "0.0.0.0", port: server.port) { EchoProtocol() }
            #expect(other.port == server.port)
            await loop.until { server.acceptedCount == 1 && server.connectionCount == 0 }
            other.close()
            server.close()
        }
    }

    // covers: 169, 170
    @Test(arguments: TestLoop.allAndFiltered)
    func unavailableAddressLeavesNoSocketOpen(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let kept = try KeptPort("127.0.0.1", "127.0.0.2")
            defer { kept.close() }
            let port = kept.number
            let keptAddress = try #require(SocketAddress(literal: "127.0.0.1", port: port))
            let first = try await loop.createServer(host: "127.0.0.2", port: port) { EchoProtocol() }
            let error = await #expect(throws: IOError.self) {
                _ = try await loop.createServer(on: .hosts(["127.0.0.1", "127.0.0.2"], port: port)) { EchoProtocol() }
            }
            #expect(error?.errno == .addressInUse && error?.address == first.localAddresses[0])
            #expect(try openSockets(at: keptAddress) == 1)
            let unavailable = await #expect(throws: IOError.self) {
                _ = try await loop.createServer(on: .hosts(["127.0.0.1", "192.0.2.1"], port: port)) { EchoProtocol() }
            }
            #expect(unavailable?.errno == .addressNotAvailable)
            #expect(try openSockets(at: keptAddress) == 1)
            first.close()
            #expect(loop.statistics.sources == 0)
        }
    }

    /// A family that the system lacks is skipped. A server that listens on nothing is an error.
    // covers: 169, 170
    @Test(arguments: TestLoop.allAndFiltered)
    func serverWithoutAnyAddressIsAnError(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let resolver = SystemResolver { _, port in
                .success(["2001:db8::1", "2001:db8::2"].map { SocketAddress(literal: $0, port: port)! })
            }
            let error = await #expect(throws: IOError.self) {
                let server = try await loop.listen(
                    on: .hosts(["name.example"], port: 0), options: ServerOptions(),
                    origin: CallSite(fileID: #fileID, line: #line), by: resolver
                ) { _, _, driver, _ in driver.close() }
                server.close()
            }
            #expect(error?.address?.host == "2001:db8::2")
            #expect(loop.statistics.sources == 0)
        }
    }

    // covers: 169, 170
    @Test(arguments: TestLoop.allAndFiltered)
    func explicitAddressIsNeverSkipped(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let error = await #expect(throws: IOError.self) {
                let server = try await loop.createServer(on: .hosts(["127.0.0.1", "2001:db8::1"], port: 0)) {
                    EchoProtocol()
                }
                server.close()
            }
            #expect(error?.address?.host == "2001:db8::1" && error?.errno == .addressNotAvailable)
            #expect(loop.statistics.sources == 0)
        }
    }

    // covers: 169
    @Test(arguments: TestLoop.allAndFiltered)
    func serverListensOnTheAddressesOfAName(kind: TestLoop) async throws {
        let resolver = SystemResolver { _, port in
            .success(["127.0.0.1", "127.0.0.3"].map { SocketAddress(literal: $0, port: port)! })
        }
        try await withLoop(kind) { loop in
            let server = try await loop.listen(
                on: .hosts(["name.example", "127.0.0.3"], port: 0), options: ServerOptions(),
                origin: CallSite(fileID: #fileID, line: #line), by: resolver
            ) { _, _, driver, _ in driver.close() }
            #expect(server.localAddresses.map(\.host) == ["127.0.0.1", "127.0.0.3"])
            server.close()
        }
    }

    // covers: 172
    @Test(arguments: TestLoop.allAndFiltered)
    func portCanBeShared(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            var options = ServerOptions()
            options.reusePort = true
            let first = try await loop.createServer(host: "127.0.0.1", port: 0, options: options) { EchoProtocol() }
            let second = try await loop.createServer(host: "127.0.0.1", port: first.port, options: options) {
                EchoProtocol()
            }
            #expect(second.port == first.port)
            for _ in 0..<20 {
                let (_, writer) = try await loop.openConnection(host: "127.0.0.1", port: first.port)
                writer.close()
            }
            await loop.until { first.acceptedCount + second.acceptedCount == 20 }
            await loop.until { first.connectionCount + second.connectionCount == 0 }
            let error = await #expect(throws: IOError.self) {
                _ = try await loop.createServer(host: "127.0.0.1", port: first.port) { EchoProtocol() }
            }
            #expect(error?.errno == .addressInUse)
            first.close()
            second.close()
        }
    }

    /// What a system returns that does not know the option.
    // covers: 172
    @Test(arguments: TestLoop.allAndFiltered)
    func unsupportedPortSharingIsRejected(kind: TestLoop) async throws {
        try await withVirtualLoop(kind) { loop in
            let error = #expect(throws: EventLoopError.self) { try loop.setReusePort(Socket(number: -1)) }
            #expect(error?.code == .unsupported)
            #expect(error?.description.contains("reusePort") == true)
        }
    }

    @Test func serverDefaultsAreAsyncios() {
        let options = ServerOptions()
        #expect(options.backlog == 100)
        #expect(options.reuseAddress && !options.reusePort && options.startsServing)
        #expect(options.socketOptions == [.noDelay: 1])
    }
}
