import AsyncIO
import AsyncIOTesting
import SystemPackage
import Testing

/// Writing, with the same results on readiness and on completion.
struct StreamTransportWritingTests {
    // covers: 142
    @Test(arguments: ScriptedBackend.allCases)
    func shortWriteContinuesWhereItEnded(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let (transport, peer) = try network.connect(Recorder())
            peer.takes(atMost: 4)
            await network.idle()
            transport.write("hello ")
            // At once, or at the end of the iteration.
            #expect(peer.sends == [4] || peer.sends.isEmpty)
            transport.write("world")
            await network.idle()
            #expect(peer.writtenText == "hello world")
            #expect(peer.sends == [4, 4, 3] || peer.sends == [4, 2, 4, 1])
            #expect(transport.writeBufferBytes == 0)
            transport.close()
        }
    }

    // covers: 142, 145
    @Test(arguments: ScriptedBackend.allCases)
    func bytesThatCannotBeSentAreBufferedInOrder(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let (transport, peer) = try network.connect(Recorder())
            peer.blocksWrites()
            await network.idle()
            var bytes: [UInt8] = Array("abc".utf8)
            bytes.withUnsafeMutableBytes { memory in
                transport.write(UnsafeRawBufferPointer(memory).bytes)
                // The memory belongs to the caller again.
                memory.copyBytes(from: "xyz".utf8)
            }
            transport.write("def")
            await network.idle()
            #expect(transport.writeBufferBytes == 6)
            #expect(peer.written.isEmpty)
            peer.takes(atMost: 1)
            peer.unblocksWrites()
            await network.idle()
            #expect(peer.writtenText == "abcdef")
            #expect(transport.writeBufferBytes == 0)
            transport.close()
        }
    }

    // covers: 142
    @Test(arguments: ScriptedBackend.allCases)
    func megabyteArrivesHoweverManyBytesTheKernelAccepts(backend: ScriptedBackend) async throws {
        let bytes = pattern(1_000_000)
        for most in [nil, 65_536, 9_999] {
            try await withScriptedNetwork(backend) { network in
                let (transport, peer) = try network.connect(Recorder())
                peer.takes(atMost: most)
                await network.idle()
                for start in stride(from: 0, to: bytes.count, by: 150_000) {
                    transport.write(bytes.span.extracting(start..<min(start + 150_000, bytes.count)).bytes)
                }
                transport.close()
                await network.idle()
                #expect(peer.written == bytes)
                #expect(peer.wasClosed)
            }
        }
    }

    // covers: 143, F8
    @Test(arguments: ScriptedBackend.allCases)
    func emptyWritesHaveNoEffect(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let recorder = Recorder()
            let (transport, peer) = try network.connect(recorder)
            await network.idle()
            transport.write([])
            transport.write("")
            transport.write(contentsOf: [[], [1], [], [2, 3], []])
            transport.write(contentsOf: [[]])
            transport.close()
            await network.idle()
            #expect(peer.written == [1, 2, 3])
            #expect(!peer.sends.contains(0))
            #expect(recorder.events == [.made, .lost(nil)])
            #expect(peer.wasClosed)
        }
    }

    // covers: 141
    @Test(arguments: ScriptedBackend.allCases)
    func closeFlushesTheWriteBufferFirst(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let recorder = Recorder()
            let (transport, peer) = try network.connect(recorder)
            peer.blocksWrites()
            await network.idle()
            transport.write("farewell")
            transport.close()
            transport.close()
            peer.sends("too late")
            await network.idle()
            #expect(transport.isClosing)
            #expect(recorder.events == [.made])
            #expect(!peer.wasClosed)
            peer.takes(atMost: 5)
            peer.unblocksWrites()
            await network.idle()
            #expect(peer.writtenText == "farewell")
            #expect(recorder.events == [.made, .lost(nil)])
            #expect(peer.wasClosed)
        }
    }

    // covers: 141
    @Test(arguments: ScriptedBackend.allCases)
    func abortDiscardsTheWriteBuffer(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let recorder = Recorder()
            let (transport, peer) = try network.connect(recorder)
            peer.blocksWrites()
            await network.idle()
            transport.write([UInt8](repeating: 7, count: 200_000))
            await network.idle()
            transport.abort()
            #expect(transport.writeBufferBytes == 0)
            await network.idle()
            #expect(peer.written.isEmpty)
            #expect(recorder.eventsWithoutData == [.made, .paused, .lost(nil)])
            #expect(peer.wasClosed)
        }
    }

    // covers: 148
    @Test(arguments: ScriptedBackend.allCases)
    func writingPausesAboveTheHighMarkAndResumesAtTheLowMark(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let recorder = Recorder()
            var sizes: [Int] = []
            recorder.reaction = { event, transport in
                if event == .paused || event == .resumed { sizes.append(transport.writeBufferBytes) }
            }
            let (transport, peer) = try network.connect(recorder)
            try transport.setWriteBufferLimits(lowBytes: 50, highBytes: 100)
            peer.blocksWrites()
            await network.idle()
            transport.write([UInt8](repeating: 1, count: 100))
            await network.idle()
            #expect(recorder.events == [.made])
            transport.write([2])
            // At once, not in the next iteration.
            #expect(recorder.events == [.made, .paused])
            transport.write([3, 4])
            #expect(sizes == [101])

            peer.takes(atMost: 52)
            peer.unblocksWrites()
            peer.blocksWrites()
            await network.idle()
            peer.unblocksWrites()
            await network.idle()
            // 103 minus 52 bytes are one too many.
            #expect(recorder.events == [.made, .paused, .resumed])
            #expect(sizes.last.map { $0 <= 50 } == true)
            #expect(peer.written.count == 103)
            transport.close()
        }
    }

    // covers: 148
    @Test(arguments: ScriptedBackend.allCases)
    func writingResumesExactlyAtTheLowMark(backend: ScriptedBackend) async throws {
        for (taken, sizeAtResume) in [(51, 50), (50, 1)] {
            try await withScriptedNetwork(backend) { network in
                let recorder = Recorder()
                var size: Int?
                recorder.reaction = { event, transport in if event == .resumed { size = transport.writeBufferBytes } }
                let (transport, peer) = try network.connect(recorder)
                try transport.setWriteBufferLimits(lowBytes: 50, highBytes: 100)
                peer.blocksWrites()
                await network.idle()
                transport.write([UInt8](repeating: 1, count: 101))
                peer.takes(atMost: taken)
                peer.unblocksWrites()
                await network.idle()
                #expect(size == sizeAtResume)
                transport.close()
            }
        }
    }

    // covers: 148, F7
    @Test(arguments: ScriptedBackend.allCases)
    func everyKindOfWriteIsSubjectToBackPressure(backend: ScriptedBackend) async throws {
        let chunk = [UInt8](repeating: 1, count: 10_000)
        let text = String(repeating: "x", count: 10_000)
        let ways: [@Sendable (StreamTransport) -> Void] = [
            { $0.write(chunk) }, { $0.write(chunk.span.bytes) }, { $0.write(contentsOf: [chunk]) }, { $0.write(text) },
        ]
        for write in ways {
            try await withScriptedNetwork(backend) { network in
                let recorder = Recorder()
                var mayWrite = true
                recorder.reaction = { event, _ in
                    if event == .paused { mayWrite = false }
                    if event == .resumed { mayWrite = true }
                }
                let (transport, peer) = try network.connect(recorder)
                peer.blocksWrites()
                await network.idle()
                for _ in 0..<1_000 where mayWrite {
                    write(transport)
                    await network.idle()
                }
                #expect(transport.writeBufferBytes > 64 * 1024)
                #expect(transport.writeBufferBytes <= 64 * 1024 + chunk.count)
                peer.unblocksWrites()
                await network.idle()
                #expect(mayWrite)
                transport.close()
            }
        }
    }

    // covers: 149
    @Test(arguments: ScriptedBackend.allCases)
    func waterMarksAreChecked(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let (transport, _) = try network.connect(Recorder())
            #expect(transport.writeBufferLimits == (16 * 1024, 64 * 1024))
            try transport.setWriteBufferLimits(lowBytes: 100)
            #expect(transport.writeBufferLimits == (100, 400))
            try transport.setWriteBufferLimits(highBytes: 100)
            #expect(transport.writeBufferLimits == (25, 100))
            try transport.setWriteBufferLimits(highBytes: 0)
            #expect(transport.writeBufferLimits == (0, 0))
            for (high, low) in [(1, 2), (-1, -1), (10, -1)] {
                let error = #expect(throws: EventLoopError.self) {
                    try transport.setWriteBufferLimits(lowBytes: low, highBytes: high)
                }
                #expect(error?.code == .invalidArgument)
            }
            try transport.setWriteBufferLimits()
            #expect(transport.writeBufferLimits == (16 * 1024, 64 * 1024))
            transport.close()
        }
    }

    // covers: F10
    @Test(arguments: ScriptedBackend.allCases)
    func resetWithABufferedMegabyteLosesTheConnectionOnce(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend, LoopTestOptions(unhandledErrors: 1)) { network in
            let recorder = Recorder()
            let (transport, peer) = try network.connect(recorder)
            peer.takes(atMost: 10_000)
            await network.idle()
            transport.write([UInt8](repeating: 1, count: 10_000))
            peer.blocksWrites()
            transport.write([UInt8](repeating: 2, count: 1 << 20))
            await network.idle()
            #expect(transport.writeBufferBytes >= 1 << 20)
            peer.resets()
            await network.idle()
            #expect(recorder.events == [.made, .paused, .lost(.io(.connectionReset))])
            #expect(transport.writeBufferBytes == 0)
            #expect(peer.wasClosed)
            transport.write("no-op")
            transport.abort()
        }
    }

    // covers: 147
    @Test(arguments: ScriptedBackend.allCases)
    func writeThatFindsTheResetFirstLosesTheConnectionOnce(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let recorder = Recorder()
            let (transport, peer) = try network.connect(recorder)
            await network.idle()
            transport.pauseReading()
            peer.resets()
            transport.write("into the void")
            transport.write("and again")
            await network.idle()
            #expect(recorder.events == [.made, .lost(.io(.connectionReset))])
            #expect(peer.wasClosed)
        }
    }

    // covers: 147, 150
    @Test(arguments: ScriptedBackend.allCases)
    func writeThatFailsWithinDataReceivedEndsTheConnectionOnce(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let recorder = Recorder()
            let (transport, peer) = try network.connect(recorder)
            recorder.reaction = { event, transport in
                guard event == .data("question") else { return }
                peer.failsNextSend(with: .brokenPipe)
                transport.write("answer")
                transport.write("and more")
                // The protocol is not notified within its own call.
                #expect(recorder.events == [.made, .data("question")])
            }
            await network.idle()
            peer.sends("question")
            await network.idle()
            peer.sends("nobody hears this")
            await network.idle()
            #expect(recorder.events == [.made, .data("question"), .lost(.io(.brokenPipe))])
            #expect(peer.written.isEmpty && peer.wasClosed)
            #expect(transport.isClosing && transport.writeBufferBytes == 0)
        }
    }

    /// A write between two runs is outside of any iteration, so the end of an iteration cannot send it.
    // covers: 142
    @Test(arguments: ScriptedBackend.allCases)
    func writeOutsideOfAnIterationIsSent(backend: ScriptedBackend) async throws {
        try await withScriptedNetworkThread(backend) { network in
            let (transport, peer) = try network.connect(Recorder())
            network.whenIdle { network.loop.stop() }
            try network.loop.runForever()
            transport.write("between two runs")
            network.whenIdle {
                // The loop would wait now, perhaps without end.
                #expect(peer.writtenText == "between two runs")
                network.loop.stop()
            }
            try network.loop.runForever()
            transport.close()
        }
    }
}
