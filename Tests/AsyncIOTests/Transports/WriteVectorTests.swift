import AsyncIOTesting
import CAsyncIO
import SystemPackage
import Testing

@testable import AsyncIO

struct WriteVectorTests {
    /// Pieces of many sizes, many of them empty.
    private static let pieces: [[UInt8]] = (0..<3_000).map { index in
        [UInt8](repeating: UInt8(truncatingIfNeeded: index), count: index % 3 == 0 ? 0 : index % 251)
    }

    // covers: 143, 144
    @Test func vectorContinuesWithinAPiece() {
        for step in [1, 7, 250, 4_096, 100_000] {
            var vector = WriteVector(Self.pieces)
            var sent: [UInt8] = []
            while vector.count > 0 {
                let bytes = vector.withNextPieces { pieces in
                    #expect(pieces.count <= WriteVector.mostPieces)
                    #expect(pieces.allSatisfy { $0.iov_len > 0 })
                    return pieces.map { [UInt8](UnsafeRawBufferPointer(start: $0.iov_base, count: $0.iov_len)) }.bytes
                }
                let taken = bytes.prefix(step)
                sent += taken
                vector.advance(by: taken.count)
                if step == 1, sent.count > 2_000 { break }
            }
            let whole = Self.pieces.bytes
            #expect(sent == Array(whole.prefix(sent.count)))
            var rest: [UInt8] = []
            vector.forEachRest { rest += $0 }
            #expect(sent + rest == whole)
        }
    }

    // covers: 143, 144
    @Test(arguments: ScriptedBackend.allCases, [nil, 100_000, 1_001])
    func everythingArrivesHoweverManyBytesTheKernelAccepts(backend: ScriptedBackend, most: Int?) async throws {
        try await withScriptedNetwork(backend) { network in
            let (transport, peer) = try network.connect(Recorder())
            peer.takes(atMost: most)
            await network.idle()
            transport.write(contentsOf: Self.pieces)
            transport.write(contentsOf: Self.pieces[..<30])
            transport.close()
            await network.idle()
            #expect(peer.written == Self.pieces.bytes + Self.pieces[..<30].bytes)
            #expect(peer.wasClosed)
        }
    }

    // covers: 147
    @Test(arguments: ScriptedBackend.allCases)
    func failureBetweenTwoPiecesLosesTheConnectionOnce(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let recorder = Recorder()
            let (transport, peer) = try network.connect(recorder)
            await network.idle()
            transport.pauseReading()
            peer.resets()
            transport.write(contentsOf: Self.pieces)
            transport.write(contentsOf: Self.pieces)
            await network.idle()
            #expect(recorder.eventsWithoutData.filter { $0 != .paused } == [.made, .lost(.io(.connectionReset))])
            #expect(transport.writeBufferBytes == 0)
        }
    }

    /// More pieces and more bytes than the kernel accepts at once.
    // covers: 144
    @Test(arguments: TestLoop.allAndFiltered)
    func thousandPiecesArriveInOrder(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let pieces = (0..<2_500).map { [UInt8](repeating: UInt8(truncatingIfNeeded: $0), count: $0 % 700) }
            let server = try await loop.createServer(host: "127.0.0.1", port: 0) {
                let recorder = Recorder()
                recorder.reaction = { event, transport in
                    guard event == .made else { return }
                    transport.write(contentsOf: pieces)
                    transport.close()
                }
                return recorder
            }
            let (reader, writer) = try await loop.openConnection(host: "127.0.0.1", port: server.port)
            let received = try await reader.readToEnd()
            #expect(received == pieces.reduce(into: []) { $0 += $1 })
            writer.close()
            server.close()
            try await server.waitClosed()
        }
    }
}
