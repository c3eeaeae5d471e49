import AsyncIO
import AsyncIOTesting
import SystemPackage
import Testing

/// Several pieces as one write, with the same tests on readiness and on completion.
struct StreamWriterPiecesTests {
    private static let head = Array("HTTP/1.1 200 OK\r\n\r\n".utf8)
    private static let body = pattern(300_000)
    /// More pieces than one system call accepts, many of them empty.
    private static let manyPieces = (0..<3_000).map { index in
        [UInt8](repeating: UInt8(truncatingIfNeeded: index), count: index % 3 == 0 ? 0 : index % 251)
    }

    // covers: 143, 144, 307
    @Test(arguments: ScriptedBackend.allCases, [nil, 100_000, 1_001])
    func largePiecesAreSentWithoutCopying(backend: ScriptedBackend, most: Int?) async throws {
        try await withScriptedNetwork(backend) { network in
            let (_, writer, peer) = try network.openStreams()
            await network.idle()
            peer.takes(atMost: most)
            try await writer.write(contentsOf: [Self.head, Self.body])
            try await writer.write(contentsOf: Self.manyPieces)
            try await writer.write("the end")
            await network.idle()
            #expect(peer.written == Self.head + Self.body + Self.manyPieces.bytes + Array("the end".utf8))
            writer.close()
        }
    }

    // covers: 143
    @Test(arguments: ScriptedBackend.allCases)
    func smallPiecesAreSentInOneCall(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let (_, writer, peer) = try network.openStreams()
            await network.idle()
            try await writer.write(contentsOf: [Self.head, [], Self.head])
            try await writer.write(contentsOf: ["a", "", "bc"].lazy.map { Array($0.utf8) })
            try await writer.write(contentsOf: [])
            await network.idle()
            #expect(peer.written == Self.head + Self.head + Array("abc".utf8))
            #expect(peer.sends.count { $0 > 0 } <= 2)
            #expect(peer.vectors.isEmpty)
            writer.close()
        }
    }

    // covers: 307
    @Test(arguments: ScriptedBackend.allCases)
    func piecesAreNotInterleavedWithOtherWrites(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let (_, writer, peer) = try network.openStreams()
            await network.idle()
            peer.takes(atMost: 7_000)
            peer.blocksWrites()
            writer.transport.write("before")
            let writes = (1...3).map { number in
                let bytes = [UInt8](repeating: UInt8(number), count: 50_000)
                return network.loop.createTask { try await writer.write(contentsOf: [bytes, bytes]) }
            }
            let last = network.loop.createTask { try await writer.write("last") }
            await network.idle()
            peer.unblocksWrites()
            for write in writes { try await write.value }
            try await last.value
            await network.idle()
            let expected =
                Array("before".utf8) + (1...3).flatMap { [UInt8](repeating: $0, count: 100_000) } + Array("last".utf8)
            #expect(peer.written == expected)
            writer.close()
        }
    }

    // covers: 129
    @Test(arguments: ScriptedBackend.allCases)
    func cancelledWriteOfPiecesCountsTheBytesOfAllPieces(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let (_, writer, peer) = try network.openStreams()
            await network.idle()
            // The peer accepts the first part, and then nothing.
            peer.takes(atMost: 70_000)
            let writing = network.loop.createTask {
                try await writer.write(contentsOf: [Self.head, Self.body, Self.body])
            }
            network.loop.callSoon { peer.blocksWrites() }
            await network.idle()
            writing.cancel()
            await #expect(throws: CancellationError.self) { try await writing.value }
            peer.unblocksWrites()
            await network.idle()
            #expect(peer.written.count == writer.bytesWritten && !peer.written.isEmpty)
            let whole = Self.head + Self.body + Self.body
            #expect(peer.written == Array(whole.prefix(peer.written.count)))
            writer.close()
        }
    }

    // covers: 307
    @Test(arguments: ScriptedBackend.allCases)
    func closeLetsAWriteOfPiecesFinish(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let (_, writer, peer) = try network.openStreams()
            await network.idle()
            peer.takes(atMost: 50_000)
            peer.blocksWrites()
            let writing = network.loop.createTask { try await writer.write(contentsOf: [Self.head, Self.body]) }
            await network.idle()
            writer.close()
            peer.unblocksWrites()
            try await writing.value
            await network.idle()
            #expect(peer.written == Self.head + Self.body)
            #expect(peer.wasClosed)
            let code = await asyncCode { try await writer.write(contentsOf: [Self.head, Self.body]) }
            #expect(code == .connectionClosed)
            #expect(writer.bytesWritten == peer.written.count)
        }
    }

    @Test(arguments: ScriptedBackend.allCases)
    func taskOfThePoolMayWritePieces(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend, patiently) { network in
            let (_, writer, peer) = try network.openStreams()
            await network.idle()
            nonisolated(unsafe) let sentWriter = writer
            try await Task.detached { try await sentWriter.write(contentsOf: [Self.head, Self.body]) }.value
            await network.idle()
            #expect(peer.written == Self.head + Self.body)
            writer.close()
        }
    }
}
