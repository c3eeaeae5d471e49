import AsyncIOSystem
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

    @Test func receiveIsCancelledWhileNobodyReadsAndNoByteIsLost() async throws {
        try await withScriptedNetwork(.completion) { network in
            let (reader, writer, peer) = try network.openStreams()
            peer.sends("0")
            #expect(try await reader.readExactly(1) == Array("0".utf8))
            for digit in 1...9 {
                peer.sends("\(digit)")
                await network.idle()
            }
            // Four buffers have arrived; the peer's other bytes wait in the kernel.
            #expect(network.loop.chunkPool.retainedCounts[1] == 0)
            #expect(String(decoding: try await reader.readExactly(9), as: UTF8.self) == "123456789")
            #expect(network.loop.chunkPool.retainedCounts[1] <= 5)
            let reading = network.loop.createTask { try await reader.read(maxBytes: 1) }
            await network.idle()
            peer.sends("x")
            #expect(try await reading.value == Array("x".utf8))
            writer.close()
        }
    }

    @Test func receiveThatFoundNoBufferIsSubmittedAgain() async throws {
        try await withScriptedNetwork(.completion) { network in
            let recorder = Recorder()
            let (transport, peer) = try network.connect(recorder)
            await network.idle()
            peer.failsNextReceive(with: .noBufferSpace)
            peer.sends("data")
            await network.idle()
            #expect(recorder.events == [.made, .data("data")])
            transport.close()
        }
    }

    @Test func bytesAreIntactUntilTheirDeliveryReturns() async throws {
        try await withScriptedNetwork(.completion) { network in
            let reader = AbortingReader(network.loop)
            let (_, peer) = try network.connect(reader)
            peer.sends("intact")
            await network.idle()
            #expect(reader.text == "intact")
            #expect(network.loop.chunkPool.retainedCounts[1] == 2)
        }
    }

    @Test func bufferThatArrivesAfterTheEndReturnsToThePool() async throws {
        try await withScriptedNetwork(.completion) { network in
            let (transport, peer) = try network.connect(Recorder())
            await network.idle()
            peer.completesLate()
            transport.abort()
            await network.idle()
            peer.sends("nobody reads this")
            peer.completesNow()
            await network.idle()
            #expect(peer.wasClosed)
            #expect(network.loop.chunkPool.retainedCounts == [0, 1, 0])
        }
    }
}

/// Aborts the connection when it gets bytes, and makes others use every free buffer, before it reads the bytes.
private final class AbortingReader: StreamProtocol {
    private let loop: EventLoop
    private var transport: StreamTransport?
    private(set) var text = ""

    init(_ loop: EventLoop) {
        self.loop = loop
    }

    func connectionMade(_ transport: StreamTransport) { self.transport = transport }

    func dataReceived(_ data: RawSpan) {
        transport?.abort()
        let other = loop.chunkPool.take(.medium)
        other.initializeMemory(as: UInt8.self, repeating: 0, count: BufferPool.Size.medium.byteCount)
        loop.chunkPool.put(other, .medium)
        text = String(decoding: [UInt8](data), as: UTF8.self)
    }

    func connectionLost(_ error: (any Error)?) { transport = nil }
}
