import AsyncIO
import AsyncIOTesting
import SystemPackage
import Testing

/// The operations that wait for a writer.
struct DrainAndCloseTests {
    // covers: 307
    @Test(arguments: ScriptedBackend.allCases)
    func drainWaitsForAllWrittenBytes(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let (_, writer, peer) = try network.openStreams()
            await network.idle()
            try await writer.drain()
            peer.blocksWrites()
            let much = [UInt8](repeating: 7, count: 200_000)
            writer.transport.write(much)
            writer.transport.write(Array("end".utf8))
            var drained = 0
            let tasks = (0..<3).map { _ in
                network.loop.createTask {
                    try await writer.drain()
                    drained += 1
                }
            }
            let cancelled = network.loop.createTask { try await writer.drain() }
            await network.idle()
            cancelled.cancel()
            await #expect(throws: CancellationError.self) { try await cancelled.value }
            #expect(drained == 0)
            peer.takes(atMost: 50_000)
            peer.unblocksWrites()
            for task in tasks { try await task.value }
            #expect(peer.written == much + Array("end".utf8))
            // A write after a drain is scheduled too.
            try await writer.write(contentsOf: [Array("a".utf8), [], Array("bc".utf8)])
            try await writer.drain()
            #expect(peer.written.suffix(3) == Array("abc".utf8)[...])
            writer.close()
        }
    }

    // covers: 307
    @Test(arguments: ScriptedBackend.allCases)
    func drainThrowsWhenTheConnectionIsLost(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let (_, writer, peer) = try network.openStreams()
            await network.idle()
            peer.blocksWrites()
            writer.transport.write([UInt8](repeating: 7, count: 200_000))
            let tasks = (0..<3).map { _ in network.loop.createTask { try await writer.drain() } }
            await network.idle()
            peer.resets()
            for task in tasks {
                let error = await #expect(throws: IOError.self) { try await task.value }
                #expect(error?.errno == .connectionReset)
            }
            // In asyncio, writes in a loop without a wait would not see this error.
            await #expect(throws: IOError.self) { try await writer.drain() }
        }
    }

    // covers: 307
    @Test(arguments: ScriptedBackend.allCases)
    func drainThrowsWhenTheConnectionIsClosed(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let (_, writer, peer) = try network.openStreams()
            await network.idle()
            peer.blocksWrites()
            writer.transport.write("stuck")
            let draining = network.loop.createTask { try await writer.drain() }
            await network.idle()
            writer.close()
            let error = await #expect(throws: EventLoopError.self) { try await draining.value }
            #expect(error?.code == .connectionClosed)
            #expect(await asyncCode { try await writer.drain() } == .connectionClosed)
            peer.unblocksWrites()
            await network.idle()
            #expect(peer.writtenText == "stuck")
        }
    }

    // covers: 308
    @Test(arguments: ScriptedBackend.allCases)
    func waitClosedEndsWhenTheSocketIsClosed(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let (reader, writer, peer) = try network.openStreams()
            await network.idle()
            peer.sends("unread")
            peer.blocksWrites()
            writer.transport.write("still sent")
            #expect(!writer.isClosing && writer.canWriteEOF)
            var ended = 0
            let tasks = (0..<3).map { _ in
                network.loop.createTask {
                    try await writer.waitClosed()
                    #expect(peer.wasClosed)
                    ended += 1
                }
            }
            let cancelled = network.loop.createTask { try await writer.waitClosed() }
            await network.idle()
            writer.close()
            #expect(writer.isClosing)
            await network.idle()
            cancelled.cancel()
            await #expect(throws: CancellationError.self) { try await cancelled.value }
            #expect(ended == 0 && !peer.wasClosed)
            peer.unblocksWrites()
            for task in tasks { try await task.value }
            #expect(peer.writtenText == "still sent")
            #expect(writer.isClosing)
            try await writer.waitClosed()
            withExtendedLifetime(reader) {}
        }
    }

    // covers: 308
    @Test(arguments: ScriptedBackend.allCases)
    func waitClosedThrowsWhyTheConnectionWasLost(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let (reader, writer, peer) = try network.openStreams()
            let waiting = network.loop.createTask { try await writer.waitClosed() }
            await network.idle()
            peer.resets()
            await #expect(throws: IOError.self) { try await reader.read(maxBytes: 5) }
            let error = await #expect(throws: IOError.self) { try await waiting.value }
            #expect(error?.errno == .connectionReset)
            for _ in 0..<2 {
                writer.close()
                await #expect(throws: IOError.self) { try await writer.waitClosed() }
            }
            #expect(peer.wasClosed)

            // A connection that this program ends is not lost.
            for end in [StreamWriter.abort, StreamWriter.reset] {
                let (_, ended, itsPeer) = try network.openStreams()
                await network.idle()
                end(ended)()
                try await ended.waitClosed()
                #expect(itsPeer.wasClosed)
            }
        }
    }
}
