import AsyncIO
import AsyncIOTesting
import SystemPackage
import Testing

/// What a server of streams listens on. `ServerTests` tests how it serves.
struct StartServerTests {
    // covers: 169
    @Test(arguments: TestLoop.allAndFiltered)
    func startServerListensOnSeveralHostsOnceEachOnOnePort(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let hosts = ["127.0.0.1", "127.0.0.2", "127.0.0.1"]
            let server = try await loop.startServer(on: .hosts(hosts, port: 0)) { _, writer in
                try await writer.write("hello")
            }
            #expect(server.localAddresses.map(\.host) == ["127.0.0.1", "127.0.0.2"])
            #expect(Set(server.localAddresses.map(\.port)).count == 1)
            for address in server.localAddresses { try await expectHello(from: address, loop) }
            server.close()
            try await server.waitClosed()
            #expect(
                await asyncCode { _ = try await loop.startServer(on: .hosts([], port: 0)) { _, _ in } }
                    == .invalidArgument)
        }
    }

    // covers: 137, 169
    @Test(arguments: TestLoop.allAndFiltered)
    func startServerTakesListeningSockets(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let sockets = try (0..<3).map { _ in try SocketPlace.ipv4.listen().socket }
            let files = sockets.map { OpenFile($0.descriptor) }
            let hello = { (_: StreamReader, writer: StreamWriter) in try await writer.write("hello") }
            let servers = [
                try await loop.startServer(on: .sockets(Array(sockets[..<2])), hello),
                try await loop.startServer(on: .socket(sockets[2]), hello),
            ]
            for address in servers.flatMap(\.localAddresses) { try await expectHello(from: address, loop) }
            #expect(
                await asyncCode { _ = try await loop.startServer(on: .socket(sockets[0]), hello) } == .descriptorInUse)
            for server in servers {
                server.close()
                try await server.waitClosed()
            }
            for file in files { #expect(file.wasClosed) }
        }
    }

    // covers: 162, 302
    @Test(arguments: TestLoop.allAndFiltered)
    func startServerClosesItsSocketsIfItFails(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let sockets = try (0..<3).map { _ in try SocketPlace.ipv4.listen().socket }
            let files = sockets.map { OpenFile($0.descriptor) }
            let twice = [sockets[0], sockets[1], sockets[0]]
            #expect(
                await asyncCode { _ = try await loop.startServer(on: .sockets(twice)) { _, _ in } } == .invalidArgument)
            #expect(
                await asyncCode {
                    _ = try await loop.startServer(on: .socket(sockets[2]), options: ServerOptions(limitBytes: 0)) {
                        _, _ in
                    }
                }
                    == .invalidArgument)
            #expect(
                await asyncCode { _ = try await loop.startServer(on: .sockets([])) { _, _ in } } == .invalidArgument)
            for file in files { #expect(file.wasClosed) }
            let elsewhere = try SocketPlace.ipv4.listen().socket
            let file = OpenFile(elsewhere.descriptor)
            let refused = await Task.detached {
                await asyncCode { _ = try await loop.startServer(on: .socket(elsewhere)) { _, _ in } }
            }.value
            #expect(refused == .wrongThread)
            #expect(file.wasClosed)
            #expect(loop.statistics.sources == 0)
        }
    }

    private func expectHello(from address: SocketAddress, _ loop: EventLoop) async throws {
        let text = try await loop.withConnection(host: address.host, port: address.port!) { reader, _ in
            try await reader.readAll(limitBytes: 100)
        }
        #expect(text == Array("hello".utf8))
    }
}
