import AsyncIO
import AsyncIOTesting
import SystemPackage
import Testing

/// The functions that return the streams of a client.
struct OpenConnectionTests {
    // covers: 161
    @Test(arguments: TestLoop.allAndFiltered)
    func localAddressCanBeChosen(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            var peers: [String?] = []
            let server = try await loop.startServer(host: "127.0.0.1", port: 0) { _, writer in
                peers.append(writer.peerAddress?.host)
            }
            let options = ConnectionOptions(localAddress: SocketAddress(literal: "127.0.0.5", port: 0))
            let (_, writer) = try await loop.openConnection(host: "127.0.0.1", port: server.port, options: options)
            #expect(writer.localAddress?.host == "127.0.0.5")
            writer.close()
            try await loop.withConnection(host: "127.0.0.1", port: server.port, options: options) { reader, writer in
                #expect(writer.localAddress?.host == "127.0.0.5")
                let rest = try await reader.readToEnd()
                #expect(rest.isEmpty)
            }
            await loop.until { server.acceptedCount == 2 && server.connectionCount == 0 }
            #expect(peers == ["127.0.0.5", "127.0.0.5"])
            server.close()
        }
    }

    // covers: 137, 300
    @Test(arguments: TestLoop.allAndFiltered)
    func connectedSocketBecomesStreams(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let (near, far) = try Socket.pair()
            let (reader, writer) = try await loop.openConnection(to: .socket(near))
            // The connection is not affected.
            #expect(await asyncCode { _ = try await loop.openConnection(to: .socket(near)) } == .descriptorInUse)
            let answer = try await loop.withConnection(to: .socket(far)) { itsReader, itsWriter in
                try await writer.write("question\n")
                let line = try await itsReader.readLine()
                try await itsWriter.write("answer")
                return line
            }
            #expect(answer == "question")
            #expect(try await reader.readToEnd() == Array("answer".utf8))
            writer.close()
        }
    }

    /// Any task may pass a socket, also when the loop is closed.
    // covers: 162, 163
    @Test(arguments: TestLoop.allAndFiltered)
    func socketOfAnotherThreadBecomesStreams(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let (near, far) = try Socket.pair()
            try await Task.detached {
                try await loop.withConnection(to: .socket(near)) { _, writer in try await writer.write("from elsewhere")
                }
            }.value
            let (reader, writer) = try await loop.openConnection(to: .socket(far))
            #expect(try await reader.readToEnd() == Array("from elsewhere".utf8))
            writer.close()
        }
    }

    // covers: 162, 163
    @Test(arguments: TestLoop.allAndFiltered)
    func unsuitableSocketIsRejectedAndClosed(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let unconnected = try Socket.stream(.ipv4)
            let unconnectedFile = OpenFile(unconnected.descriptor)
            let error = await #expect(throws: IOError.self) {
                _ = try await loop.openConnection(to: .socket(unconnected))
            }
            #expect(error?.errno == .socketNotConnected)
            #expect(unconnectedFile.wasClosed)

            let (near, far) = try Socket.pair()
            let files = [near, far].map { OpenFile($0.descriptor) }
            #expect(
                await asyncCode {
                    _ = try await loop.openConnection(to: .socket(near), options: ConnectionOptions(limitBytes: 0))
                } == .invalidArgument)
            #expect(
                await asyncCode {
                    try await loop.withConnection(to: .socket(far), options: ConnectionOptions(limitBytes: -1)) {
                        _, _ in
                    }
                }
                    == .invalidArgument)
            for file in files { #expect(file.wasClosed) }
            #expect(loop.statistics.sources == 0)
        }
    }

    // covers: 34, 162
    @Test(arguments: TestLoop.allAndFiltered)
    func socketPassedToAClosedLoopIsClosed(kind: TestLoop) async throws {
        let loop = try kind.makeLoop()
        try loop.close()
        let (near, far) = try Socket.pair()
        defer { far.close() }
        let file = OpenFile(near.descriptor)
        #expect(await asyncCode { _ = try await loop.openConnection(to: .socket(near)) } == .closed)
        #expect(file.wasClosed)
    }
}
