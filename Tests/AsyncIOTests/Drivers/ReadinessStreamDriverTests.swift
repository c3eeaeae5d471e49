import AsyncIOTesting
import Testing

@testable import AsyncIO

/// What only a driver that calls the kernel itself can show; the tests of transports and streams hold for all drivers.
struct ReadinessStreamDriverTests {
    private static let pieces = (0..<3_000).map { [UInt8](repeating: UInt8(truncatingIfNeeded: $0), count: $0 % 251) }
    private static let nonemptyCount = pieces.count { !$0.isEmpty }

    // covers: 142
    @Test func writeIsSentAtOnce() async throws {
        try await withScriptedNetwork(.readiness) { network in
            let (transport, peer) = try network.connect(Recorder())
            peer.takes(atMost: 4)
            await network.idle()
            transport.write("hello ")
            #expect(peer.sends == [4])
            transport.close()
            await network.idle()
        }
    }

    // covers: 147
    @Test func failedSendClosesTheTransportAtOnce() async throws {
        try await withScriptedNetwork(.readiness) { network in
            let recorder = Recorder()
            let (transport, peer) = try network.connect(recorder)
            await network.idle()
            peer.failsNextSend(with: .brokenPipe)
            transport.write("answer")
            #expect(transport.isClosing)
            await network.idle()
            #expect(recorder.events == [.made, .lost(.io(.brokenPipe))])
        }
    }

    /// No call gets more than it accepts, and no pieces are joined before.
    // covers: 143, 144
    @Test func piecesAreSentByVectorsOf64() async throws {
        try await withScriptedNetwork(.readiness) { network in
            let (transport, peer) = try network.connect(Recorder())
            await network.idle()
            transport.write(contentsOf: Self.pieces)
            transport.close()
            await network.idle()
            #expect(peer.written == Self.pieces.bytes)
            #expect(WriteVector.mostPieces == 64)
            #expect(peer.vectors.first == 64)
            #expect(peer.vectors.count == (Self.nonemptyCount + 63) / 64)
        }
    }

    // covers: 143, 307
    @Test func piecesOfATaskAreSentByVectorsOf64() async throws {
        try await withScriptedNetwork(.readiness) { network in
            let (_, writer, peer) = try network.openStreams()
            await network.idle()
            try await writer.write(contentsOf: Self.pieces)
            #expect(peer.vectors.max() == 64)
            writer.close()
        }
    }

    /// The buffer is as large as asyncio's `max_size`.
    @Test func pieceIsAsLargeAsTheLoopsBuffer() async throws {
        try await withScriptedNetwork(.readiness) { network in
            let recorder = Recorder()
            let (transport, peer) = try network.connect(recorder)
            peer.sends([UInt8](repeating: 1, count: 262_145))
            await network.idle()
            #expect(recorder.events == [.made, .data("262144 bytes"), .data("\u{1}")])
            transport.close()
        }
    }

    // covers: 304
    @Test func nothingIsReceivedWhileNoTaskReads() async throws {
        try await withScriptedNetwork(.readiness) { network in
            let (reader, writer, peer) = try network.openStreams(limitBytes: 100)
            peer.sends(Array("line\n".utf8) + [UInt8](repeating: 7, count: 1_000_000))
            #expect(try await reader.readLine() == "line")
            let receives = peer.receives
            for _ in 0..<5 { await network.idle() }
            peer.sends([1])
            for _ in 0..<5 { await network.idle() }
            #expect(peer.receives == receives)
            writer.close()
        }
    }

    @Test func waitingReadTakesNoBuffer() async throws {
        try await withScriptedNetwork(.readiness) { network in
            let (reader, writer, peer) = try network.openStreams()
            let reading = network.loop.createTask { try await reader.readChunk()?.byteCount }
            await network.idle()
            #expect(network.loop.chunkPool.retainedCounts == [0, 0, 0])
            peer.sends("x")
            #expect(try await reading.value == 1)
            writer.close()
        }
    }

    @Test(arguments: LoopKind.readinessBased)
    func chunkIsReceivedInPlaceSoNoBufferLimitsIt(kind: LoopKind) async throws {
        try await withLoop(kind) { loop in
            let total = 4 << 20
            let server = try await loop.startServer(host: "127.0.0.1", port: 0) { _, writer in
                try await writer.write([UInt8](repeating: 7, count: total))
            }
            try await loop.withConnection(host: "127.0.0.1", port: server.port) { reader, _ in
                var largest = 0
                while let chunk = try await reader.readChunk() { largest = max(largest, chunk.byteCount) }
                #expect(largest > BufferPool.Size.medium.byteCount)
            }
            server.close()
            try await server.waitClosed()
        }
    }

    /// The kernel writes into the lent memory; the loop's buffer is not used.
    // covers: 157
    @Test func selectorLoopReceivesStraightIntoTheLentMemory() async throws {
        try await withScriptedNetwork(.readiness) { network in
            let recorder = BufferedRecorder(bufferBytes: 100)
            var receivesBefore = 0
            let (_, peer) = try network.connect(recorder)
            recorder.lends = { memory, receive in
                receivesBefore = peer.receives
                receive(UnsafeMutableRawBufferPointer(rebasing: memory[..<10]))
                if peer.receives == receivesBefore + 1, memory[0] == 65 { memory[9] = 66 }
            }
            peer.sends(String(repeating: "A", count: 10))
            await network.idle()
            #expect(recorder.received == Array("AAAAAAAAAB".utf8))
            recorder.transport?.close()
        }
    }

    // covers: 150
    @Test func abortWhileMemoryIsLentReceivesNothing() async throws {
        try await withScriptedNetwork(.readiness) { network in
            let recorder = BufferedRecorder(bufferBytes: 4)
            recorder.lends = { [unowned recorder] memory, receive in
                recorder.transport?.abort()
                receive(memory)
            }
            let (_, peer) = try network.connect(recorder)
            peer.sends("12345678")
            await network.idle()
            #expect(recorder.pieces.isEmpty)
            #expect(recorder.losses == 1)
        }
    }
}
