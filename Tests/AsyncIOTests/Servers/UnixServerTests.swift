import AsyncIO
import AsyncIOTesting
import Foundation
import SystemPackage
import Testing

/// Servers and clients of unix sockets: what differs from TCP is the name.
struct UnixServerTests {
    /// The names that a unix socket can have.
    enum Name: CaseIterable {
        case path, longestPath, abstract, longestAbstract

        func endpoint(in directory: SocketDirectory) -> (Endpoint, SocketAddress) {
            switch self {
            case .path, .longestPath:
                let path = self == .path ? directory.file("s") : directory.file(byteCount: 107)
                return (.unix(path), SocketAddress(unixPath: path)!)
            case .abstract, .longestAbstract:
                let name = newAbstractName()
                let padded = self == .abstract ? name : name + String(repeating: "x", count: 107 - name.utf8.count)
                return (.abstract(padded), SocketAddress(abstractName: padded)!)
            }
        }
    }

    // covers: 175, 178, 310
    @Test(arguments: TestLoop.allAndFiltered, Name.allCases)
    func streamsWorkOverAUnixSocket(kind: TestLoop, name: Name) async throws {
        try await withLoop(kind) { loop in
            let directory = try SocketDirectory()
            defer { directory.remove() }
            let (endpoint, address) = name.endpoint(in: directory)
            var served: SocketAddress?
            let server = try await loop.startServer(on: endpoint) { reader, writer in
                served = writer.localAddress
                try await writer.write(contentsOf: [Array("first\n".utf8), Array("second\n".utf8)])
                while let chunk = try await reader.readChunk() { try await writer.write(chunk) }
                try await writer.write("end")
            }
            #expect(server.localAddresses == [address])
            let message = pattern(50_000)
            try await loop.withConnection(to: endpoint) { reader, writer in
                #expect(writer.peerAddress == address)
                #expect(try await reader.readLine() == "first")
                #expect(try await reader.readUntil("\n") == Array("second\n".utf8))
                try await writer.write(message)
                #expect(try await reader.readExactly(message.count) == message)
                try await writer.writeEOF()
                #expect(try await reader.readAll(limitBytes: 10) == Array("end".utf8))
            }
            await loop.until { server.connectionCount == 0 }
            #expect(served == address && server.acceptedCount == 1)
            server.close()
            try await server.waitClosed()
            #expect(try directory.files.isEmpty)
        }
    }

    // covers: 175, 178
    @Test(arguments: TestLoop.allAndFiltered, Name.allCases)
    func protocolsWorkOverAUnixSocket(kind: TestLoop, name: Name) async throws {
        try await withLoop(kind) { loop in
            let directory = try SocketDirectory()
            defer { directory.remove() }
            let (endpoint, address) = name.endpoint(in: directory)
            let server = try await loop.createServer(on: endpoint) { EchoProtocol() }
            let recorder = Recorder()
            let (transport, _) = try await loop.createConnection(to: endpoint) { recorder }
            #expect(transport.peerAddress == address && transport.localAddress?.host == "")
            transport.write("hello")
            transport.writeEOF()
            await loop.until { recorder.events.last == .lost(nil) }
            #expect(recorder.received == Array("hello".utf8))
            await loop.until { server.connectionCount == 0 }
            server.close()
        }
    }

    /// The kernel has no path for a client, and an address without one is printed in words.
    @Test(arguments: TestLoop.all)
    func reportsNameTheServer(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let directory = try SocketDirectory()
            defer { directory.remove() }
            let server = try await loop.createServer(on: .unix(directory.file())) { EchoProtocol() }
            #expect("\(server)" == "<Server \(directory.file()), serving, 0 connections>")
            let (transport, _) = try await loop.createConnection(to: .unix(directory.file())) { Recorder() }
            #expect("\(transport)".contains("an unnamed unix socket -> \(directory.file()), open"))
            transport.close()
            await loop.until { server.acceptedCount == 1 && server.connectionCount == 0 }
            server.close()
        }
    }

    // covers: 177, 178
    @Test(arguments: TestLoop.all, ServerEndpointTests.Listening.allCases)
    func nameThatCannotBeAnAddressIsRefused(kind: TestLoop, listening: ServerEndpointTests.Listening) async throws {
        try await withLoop(kind) { loop in
            let directory = try SocketDirectory()
            defer { directory.remove() }
            let tooLong = String(repeating: "x", count: 108)
            let zero = "a\u{0}b"
            for endpoint: Endpoint in [
                .unix(directory.file(byteCount: 108)), .unix(""), .unix(zero), .abstract(tooLong), .abstract(""),
                .abstract(zero),
            ] {
                #expect(
                    await asyncCode { _ = try await listening.listen(on: endpoint, loop) } == .invalidArgument,
                    "\(endpoint)")
                #expect(
                    await asyncCode { _ = try await loop.openConnection(to: endpoint) } == .invalidArgument,
                    "\(endpoint)")
            }
            #expect(try directory.files.isEmpty)
        }
    }

    // covers: 177
    @Test(arguments: TestLoop.all)
    func pathWithoutADirectoryIsAnError(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let directory = try SocketDirectory()
            defer { directory.remove() }
            directory.createFile("file")
            for (path, errno) in [("none/s", Errno.noSuchFileOrDirectory), ("file/s", .notDirectory)] {
                let path = directory.file(path)
                let error = await #expect(throws: IOError.self) {
                    _ = try await loop.createServer(on: .unix(path)) { EchoProtocol() }
                }
                #expect(error?.description.hasPrefix("cannot listen on \(path): ") == true && error?.errno == errno)
                let refusal = await #expect(throws: ConnectError.self) {
                    _ = try await loop.openConnection(to: .unix(path))
                }
                #expect(refusal?.attempts.map(\.errno) == [errno])
                #expect(refusal?.description.hasPrefix("cannot connect to \(path): ") == true)
            }
            #expect(loop.statistics.sources == 0)
            #expect(try directory.files == ["file"])
        }
    }

    /// In a child process, because the superuser may write everywhere.
    // covers: 177
    @Test(.startsProcess) func forbiddenDirectoryIsAnError() async {
        await #expect(processExitsWith: .success) {
            let directory = try SocketDirectory()
            defer { directory.remove() }
            try #require(chmod(directory.path, 0o555) == 0)
            let superuser = geteuid() == 0
            if superuser { try #require(seteuid(65_534) == 0) }
            try await withLoop(TestLoop.all[0]) { loop in
                let error = await #expect(throws: IOError.self) {
                    _ = try await loop.createServer(on: .unix(directory.file())) { EchoProtocol() }
                }
                #expect(error?.errno == .permissionDenied && error?.address?.host == directory.file())
                #expect(loop.statistics.sources == 0)
            }
            if superuser { try #require(seteuid(0) == 0) }
            #expect(try directory.files.isEmpty)
        }
    }
}
