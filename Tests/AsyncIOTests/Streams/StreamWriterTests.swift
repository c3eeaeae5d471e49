import AsyncIO
import AsyncIOTesting
import SystemPackage
import Testing

/// Writing in a task, with the same tests on readiness and on completion.
struct StreamWriterTests {
    /// More bytes than a completion driver takes from the writer at once.
    private static let much = [UInt8](repeating: 9, count: 300_000)

    // covers: 307
    @Test(arguments: ScriptedBackend.allCases)
    func writeWaitsForASlowPeerAndKeepsTheOrder(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let (_, writer, peer) = try network.openStreams()
            await network.idle()
            let bytes = pattern(300_000)
            peer.takes(atMost: 10_000)
            peer.blocksWrites()
            var isWritten = false
            let writing = network.loop.createTask {
                try await writer.write(bytes)
                try await writer.write("the end")
                isWritten = true
            }
            await network.idle()
            #expect(!isWritten)
            peer.unblocksWrites()
            try await writing.value
            await network.idle()
            #expect(peer.written == bytes + Array("the end".utf8))
            writer.close()
        }
    }

    // covers: 307
    @Test(arguments: ScriptedBackend.allCases)
    func resetCountsTheBytesThatWereSent(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let (_, writer, peer) = try network.openStreams()
            await network.idle()
            peer.takes(atMost: 40_000)
            let writing = network.loop.createTask { try await writer.write(Self.much) }
            network.whenIdle {}
            peer.blocksWrites()
            await network.idle()
            peer.resets()
            let error = await #expect(throws: IOError.self) { try await writing.value }
            #expect(error?.errno == .connectionReset)
            // On completion, bytes that the driver had submitted count too.
            #expect(writer.bytesWritten >= peer.written.count && writer.bytesWritten < Self.much.count)
            let written = writer.bytesWritten
            await network.idle()
            #expect(peer.wasClosed)
            await #expect(throws: IOError.self) { try await writer.write("x") }
            #expect(writer.bytesWritten == written)
        }
    }

    // covers: 129
    @Test(arguments: ScriptedBackend.allCases)
    func cancelledWriteCountsTheBytesThatWereSent(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let (_, writer, peer) = try network.openStreams()
            await network.idle()
            peer.takes(atMost: 40_000)
            let writing = network.loop.createTask(eagerStart: true) { try await writer.write(Self.much) }
            peer.blocksWrites()
            await network.idle()
            writing.cancel()
            await #expect(throws: CancellationError.self) { try await writing.value }
            peer.unblocksWrites()
            await network.idle()
            // Exactly those bytes arrive.
            #expect(peer.written.count == writer.bytesWritten)
            #expect(0 < writer.bytesWritten && writer.bytesWritten < Self.much.count)
            writer.close()
        }
    }

    // covers: 307
    @Test(arguments: ScriptedBackend.allCases)
    func writesAreSerializedEachWithAllOfItsBytes(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let (_, writer, peer, writing) = try await writeToASlowPeer(network)
            let others = (1...3).map { number in
                network.loop.createTask {
                    try await writer.write([UInt8](repeating: UInt8(number), count: 200_000))
                }
            }
            let cancelled = network.loop.createTask { try await writer.write("never") }
            let last = network.loop.createTask { try await writer.write("last") }
            await network.idle()
            cancelled.cancel()
            await #expect(throws: CancellationError.self) { try await cancelled.value }
            peer.unblocksWrites()
            try await writing.value
            for other in others { try await other.value }
            try await last.value
            await network.idle()
            let expected = Self.much + (1...3).flatMap { [UInt8](repeating: $0, count: 200_000) } + Array("last".utf8)
            #expect(peer.written == expected)
            writer.close()
        }
    }

    // covers: 307
    @Test(arguments: ScriptedBackend.allCases)
    func resetFailsEveryWaitingWriter(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let (_, writer, peer, writing) = try await writeToASlowPeer(network)
            let others = (1...3).map { _ in network.loop.createTask { try await writer.write("next") } }
            await network.idle()
            peer.resets()
            for task in [writing] + others {
                let error = await #expect(throws: IOError.self) { try await task.value }
                #expect(error?.errno == .connectionReset)
            }
        }
    }

    // covers: 134
    @Test(arguments: ScriptedBackend.allCases)
    func readingAndWritingDoNotWaitForEachOther(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let (reader, writer, peer, writing) = try await writeToASlowPeer(network)
            let reading = network.loop.createTask { try await reader.readExactly(3) }
            await network.idle()
            peer.sends("abc")
            #expect(try await reading.value == Array("abc".utf8))
            let next = network.loop.createTask { try await reader.readLine() }
            await network.idle()
            peer.unblocksWrites()
            try await writing.value
            peer.sends("line\n")
            #expect(try await next.value == "line")
            writer.close()
        }
    }

    // covers: 146, 153
    @Test(arguments: ScriptedBackend.allCases)
    func writesAfterTheEndOfTheConnectionFail(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let (_, writer, peer) = try network.openStreams()
            await network.idle()
            try await writer.write("request")
            try await writer.writeEOF()
            try await writer.writeEOF()
            await network.idle()
            #expect(peer.wasShutDown && !peer.wasClosed)
            let ended = await #expect(throws: EventLoopError.self) { try await writer.write("more") }
            #expect(ended?.code == .connectionClosed)
            writer.close()
            let closed = await #expect(throws: EventLoopError.self) { try await writer.write("more") }
            #expect(closed?.code == .connectionClosed)
            try await writer.writeEOF()
            #expect(peer.writtenText == "request")
        }
    }

    // covers: 143
    @Test(arguments: ScriptedBackend.allCases)
    func emptyWriteReturnsAtOnce(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let (_, writer, peer) = try network.openStreams()
            await network.idle()
            peer.blocksWrites()
            try await writer.write("")
            try await writer.write([])
            await network.idle()
            #expect(peer.sends.isEmpty)
            writer.close()
        }
    }

    // covers: 154
    @Test(arguments: ScriptedBackend.allCases)
    func eofInBothDirectionsClosesTheSocket(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let (reader, writer, peer) = try network.openStreams()
            await network.idle()
            try await writer.write("question")
            try await writer.writeEOF()
            peer.sends("answer")
            peer.ends()
            #expect(try await reader.readLine() == "answer")
            #expect(try await reader.readLine() == nil)
            await network.idle()
            #expect(peer.wasClosed)
            #expect(try await reader.read(maxBytes: 1).isEmpty)
        }
    }

    // covers: 36
    @Test(arguments: ScriptedBackend.allCases)
    func releasedStreamsCloseTheirConnectionAfterUnsentBytes(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let peer = try await writeAndDropStreams(network)
            await network.idle()
            #expect(!peer.wasClosed)
            peer.unblocksWrites()
            await network.idle()
            #expect(peer.writtenText == "still sent")
            #expect(peer.wasClosed)
            #expect(network.loop.statistics.sources == 0)
        }
    }

    // covers: 36
    @Test(arguments: ScriptedBackend.allCases)
    func streamsMayBeReleasedOnAnotherThread(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let (box, peer) = try {
                let (reader, writer, peer) = try network.openStreams()
                return (StreamBox(streams: (reader, writer)), peer)
            }()
            try OtherThread.run { box.streams = nil }
            await network.idle()
            #expect(peer.wasClosed)
        }
    }

    /// Starts a task that writes and waits for a peer that accepts nothing yet.
    private func writeToASlowPeer(
        _ network: ScriptedNetwork
    ) async throws -> (StreamReader, StreamWriter, ScriptedPeer, Task<Void, any Error>) {
        let (reader, writer, peer) = try network.openStreams()
        await network.idle()
        peer.blocksWrites()
        let writing = network.loop.createTask { try await writer.write(Self.much) }
        await network.idle()
        return (reader, writer, peer, writing)
    }

    @Test(arguments: ScriptedBackend.allCases)
    func taskOfThePoolMayEndTheConnection(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend, patiently) { network in
            for end in [StreamWriter.close, StreamWriter.abort, StreamWriter.reset] {
                let (_, writer, peer) = try network.openStreams()
                nonisolated(unsafe) let ended = (end: end, writer: writer)
                await Task.detached { ended.end(ended.writer)() }.value
                await network.idle()
                #expect(peer.wasClosed)
            }
        }
    }

    private func writeAndDropStreams(_ network: ScriptedNetwork) async throws -> ScriptedPeer {
        let (_, writer, peer) = try network.openStreams()
        await network.idle()
        peer.blocksWrites()
        writer.transport.write("still sent")
        return peer
    }

    private final class StreamBox: @unchecked Sendable {
        var streams: (StreamReader, StreamWriter)?

        init(streams: (StreamReader, StreamWriter)) {
            self.streams = streams
        }
    }
}
