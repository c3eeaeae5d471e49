import AsyncIOTesting
import Testing

@testable import AsyncIO

/// What only a driver that submits operations can show; the tests of transports and streams hold for all drivers.
struct CompletionStreamDriverTests {
    // covers: 142
    @Test func writesOfAnIterationAreSentTogether() async throws {
        try await withScriptedNetwork(.completion) { network in
            let (transport, peer) = try network.connect(Recorder())
            await network.idle()
            transport.write("hello ")
            transport.write("world")
            #expect(peer.sends.isEmpty)
            await network.idle()
            #expect(peer.sends == [11])
            transport.close()
        }
    }

    // covers: 147
    @Test func failedSendClosesTheTransportWhenItCompletes() async throws {
        try await withScriptedNetwork(.completion) { network in
            let recorder = Recorder()
            let (transport, peer) = try network.connect(recorder)
            await network.idle()
            peer.failsNextSend(with: .brokenPipe)
            transport.write("answer")
            #expect(!transport.isClosing)
            await network.idle()
            #expect(transport.isClosing)
            #expect(recorder.events == [.made, .lost(.io(.brokenPipe))])
        }
    }

    /// Each connection has its own buffer, as each connection with a filter has.
    @Test(arguments: [ScriptedBackend.completion, .filteredReadiness, .filteredCompletion])
    func pieceIsAsLargeAsTheConnectionsBuffer(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let recorder = Recorder()
            let (transport, peer) = try network.connect(recorder)
            peer.sends([UInt8](repeating: 1, count: 65_537))
            await network.idle()
            #expect(recorder.events == [.made, .data("65536 bytes"), .data("\u{1}")])
            transport.close()
        }
    }

    // covers: 308
    @Test func waitClosedWaitsForThePendingCompletion() async throws {
        try await withScriptedNetwork(.completion) { network in
            let (reader, writer, peer) = try network.openStreams()
            let reading = network.loop.createTask { try await reader.read(maxBytes: 5) }
            await network.idle()
            peer.completesLate()
            writer.close()
            var isClosed = false
            let closing = network.loop.createTask {
                try await writer.waitClosed()
                isClosed = true
            }
            await network.idle()
            #expect(!isClosed && !peer.wasClosed)
            peer.completesNow()
            try await closing.value
            #expect(peer.wasClosed)
            await #expect(throws: EventLoopError.self) { try await reading.value }
        }
    }
}
