import AsyncIO
import AsyncIOTesting
import SystemPackage
import Testing

/// Reading, and EOF in both directions, with the same results on readiness and on completion.
struct StreamTransportReadingTests {
    // covers: 151
    @Test(arguments: ScriptedBackend.allCases)
    func bytesThatArriveWhileReadingIsPausedAreDeliveredLater(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let recorder = Recorder()
            let (transport, peer) = try network.connect(recorder)
            await network.idle()
            // Already in flight when reading is paused.
            peer.sends("in flight, ")
            transport.pauseReading()
            transport.pauseReading()
            await network.idle()
            peer.sends("paused")
            peer.ends()
            await network.idle()
            #expect(recorder.events == [.made])
            #expect(!transport.isReading)
            transport.resumeReading()
            transport.resumeReading()
            await network.idle()
            #expect(recorder.received == Array("in flight, paused".utf8))
            #expect(recorder.eventsWithoutData == [.made, .end, .lost(nil)])
        }
    }

    // covers: 151
    @Test(arguments: ScriptedBackend.allCases)
    func readingMayBePausedInAnyMethod(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let recorder = Recorder()
            recorder.reaction = { event, transport in if event != .end { transport.pauseReading() } }
            let (transport, peer) = try network.connect(recorder)
            let bytes = (0..<600_000).map { UInt8(truncatingIfNeeded: $0 / 253 & 0x7f) }
            peer.sends(bytes)
            peer.ends()
            await network.idle()
            #expect(recorder.events == [.made])
            var pieces = 0
            while !transport.isClosing {
                let before = recorder.events.count
                transport.resumeReading()
                await network.idle()
                // One piece each time, however many bytes there are.
                #expect(recorder.events.count == before + (transport.isClosing ? 2 : 1))
                pieces += 1
            }
            #expect(pieces > 2)
            #expect(recorder.received == bytes)
        }
    }

    // covers: 61, 155, F5
    @Test(arguments: ScriptedBackend.allCases)
    func hangUpWhileReadingIsPausedDoesNotMakeTheLoopSpin(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let recorder = Recorder()
            let (transport, peer) = try network.connect(recorder)
            await network.idle()
            transport.pauseReading()
            peer.sends("unread")
            peer.ends()
            await network.idle()
            // The loop becomes idle at once, with the waits for two timers in between.
            let before = network.waitCount
            try await network.loop.sleep(for: .seconds(60))
            #expect(network.waitCount - before <= 3)
            #expect(recorder.events == [.made])
            transport.resumeReading()
            await network.idle()
            #expect(recorder.events == [.made, .data("unread"), .end, .lost(nil)])
        }
    }

    // covers: 152, 154, F13
    @Test(arguments: ScriptedBackend.allCases)
    func writingMayContinueAfterThePeersEOF(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let recorder = Recorder()
            recorder.staysOpen = true
            let (transport, peer) = try network.connect(recorder)
            peer.takes(atMost: 40_000)
            peer.sends("question")
            peer.ends()
            await network.idle()
            #expect(recorder.events == [.made, .data("question"), .end])
            #expect(!transport.isClosing && !transport.isReading)
            transport.resumeReading()
            transport.pauseReading()
            let answer = [UInt8](repeating: 42, count: 1_000_000)
            transport.write(answer)
            transport.close()
            await network.idle()
            #expect(peer.written == answer)
            #expect(recorder.eventsWithoutData == [.made, .end, .paused, .resumed, .lost(nil)])
            #expect(peer.wasClosed)
        }
    }

    // covers: 152
    @Test(arguments: ScriptedBackend.allCases)
    func peersEOFClosesAfterTheWriteBufferIsFlushed(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let recorder = Recorder()
            let (transport, peer) = try network.connect(recorder)
            peer.blocksWrites()
            await network.idle()
            transport.write("answer")
            peer.ends()
            await network.idle()
            #expect(recorder.events == [.made, .end])
            #expect(transport.isClosing)
            peer.unblocksWrites()
            await network.idle()
            #expect(peer.writtenText == "answer")
            #expect(recorder.events == [.made, .end, .lost(nil)])
        }
    }

    // covers: 153, 154
    @Test(arguments: ScriptedBackend.allCases)
    func writeEOFFollowsTheWriteBufferAndReadingContinues(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let recorder = Recorder()
            recorder.staysOpen = true
            let (transport, peer) = try network.connect(recorder)
            peer.blocksWrites()
            await network.idle()
            transport.write("request")
            transport.writeEOF()
            transport.writeEOF()
            await network.idle()
            #expect(!peer.wasShutDown)
            peer.takes(atMost: 3)
            peer.unblocksWrites()
            await network.idle()
            #expect(peer.writtenText == "request")
            #expect(peer.wasShutDown && !peer.wasClosed)
            peer.sends("answer")
            await network.idle()
            #expect(recorder.events == [.made, .data("answer")])
            // Both directions have ended, so the connection has ended.
            peer.ends()
            await network.idle()
            #expect(recorder.events == [.made, .data("answer"), .end, .lost(nil)])
            #expect(peer.wasClosed)
            transport.writeEOF()
        }
    }

    // covers: 154
    @Test(arguments: ScriptedBackend.allCases)
    func writeEOFAfterThePeersEOFEndsTheConnection(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let recorder = Recorder()
            recorder.staysOpen = true
            let (transport, peer) = try network.connect(recorder)
            peer.ends()
            await network.idle()
            transport.write("answer")
            transport.writeEOF()
            await network.idle()
            #expect(peer.writtenText == "answer")
            #expect(recorder.events == [.made, .end, .lost(nil)])
            #expect(peer.wasClosed)
        }
    }

    // covers: 146, 153
    @Test(arguments: ScriptedBackend.allCases)
    func writesAfterWriteEOFAreReported(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend, LoopTestOptions(unhandledErrors: 2)) { network in
            let (transport, peer) = try network.connect(Recorder())
            await network.idle()
            transport.writeEOF()
            transport.write("one")
            transport.write(contentsOf: [[], [1]])
            transport.write("")
            await network.idle()
            #expect(peer.written.isEmpty)
            transport.close()
            transport.writeEOF()
            transport.write("not reported")
        }
    }

    // covers: 138
    @Test(arguments: ScriptedBackend.allCases)
    func nothingIsDeliveredAfterClose(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let recorder = Recorder()
            let (transport, peer) = try network.connect(recorder)
            await network.idle()
            peer.sends("in flight")
            transport.close()
            await network.idle()
            #expect(recorder.events == [.made, .lost(nil)])
        }
    }
}
