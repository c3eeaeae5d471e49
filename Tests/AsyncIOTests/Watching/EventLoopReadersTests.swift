import AsyncIO
import AsyncIOSystem
import AsyncIOTesting
import SystemPackage
import Testing

/// Readers and writers, beyond the scenarios that Tests/Differential compares with asyncio.
struct EventLoopReadersTests {
    // covers: 112, 113
    @Test(arguments: TestLoop.all)
    func callbacksRunInEachIterationInWhichTheDescriptorIsReady(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            try await withSockets { end, peer in
                var reads = 0
                var writes = 0
                try loop.addReader(end.descriptor) { reads += 1 }
                for _ in 0..<3 { await loop.yield() }
                #expect(reads == 0)
                sendByte(peer)
                await loop.until { reads > 0 }
                // The bytes were not read, so the calls continue, one per iteration.
                for _ in 0..<3 { await loop.yield() }
                #expect(reads == 4)
                #expect(loop.removeReader(end.descriptor))
                for _ in 0..<3 { await loop.yield() }
                #expect(reads == 4)

                try loop.addWriter(end.descriptor) { writes += 1 }
                await loop.until { writes > 0 }
                for _ in 0..<3 { await loop.yield() }
                #expect(writes == 4)
                #expect(loop.removeWriter(end.descriptor))
                for _ in 0..<3 { await loop.yield() }
                #expect(writes == 4)
                #expect(loop.statistics.sources == 0)
            }
        }
    }

    // covers: 114
    @Test(arguments: TestLoop.all)
    func secondCallbackReplacesTheFirst(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            try await withSockets { end, peer in
                var calls: [String] = []
                sendByte(peer)
                final class Captured {}
                var captured: Captured? = Captured()
                weak let observed = captured
                try loop.addReader(end.descriptor) { [captured] in
                    withExtendedLifetime(captured) { calls.append("first reader") }
                }
                captured = nil
                try loop.addReader(end.descriptor) { calls.append("reader") }
                #expect(observed == nil)
                try loop.addWriter(end.descriptor) { calls.append("first writer") }
                try loop.addWriter(end.descriptor) { calls.append("writer") }
                await loop.until { calls.count >= 2 }
                #expect(Set(calls) == ["reader", "writer"])
                #expect(loop.statistics.sources == 1)
                #expect(loop.removeReader(end.descriptor))
                #expect(loop.removeWriter(end.descriptor))
            }
        }
    }

    // covers: 115, 122
    @Test(arguments: TestLoop.all)
    func readerAndWriterOfADescriptorAreIndependent(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            try await withSockets { end, peer in
                var reads = 0
                var writes = 0
                try loop.addReader(end.descriptor) { reads += 1 }
                try loop.addWriter(end.descriptor) { writes += 1 }
                await loop.until { writes > 1 }
                // Writable is not readable.
                #expect(reads == 0)
                #expect(loop.removeWriter(end.descriptor))
                sendByte(peer)
                await loop.until { reads > 1 }
                let written = writes
                try loop.addWriter(end.descriptor) { writes += 1 }
                #expect(loop.removeReader(end.descriptor))
                let read = reads
                await loop.until { writes > written + 1 }
                // Readable is not writable.
                #expect(reads == read)
                #expect(loop.removeWriter(end.descriptor))
                #expect(!loop.removeWriter(end.descriptor))
            }
        }
    }

    // covers: 22
    @Test(arguments: TestLoop.all)
    func hangUpCallsTheReaderAndTheWriterUntilTheyAreRemoved(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let (end, peer) = try Socket.pair()
            var (reads, writes) = (0, 0)
            // There is no room, so that neither is ready.
            pattern(1 << 16).withUnsafeBytes { bytes in
                while case .bytes = end.send(bytes) {}
            }
            try loop.addReader(end.descriptor) { reads += 1 }
            try loop.addWriter(end.descriptor) { writes += 1 }
            for _ in 0..<3 { await loop.yield() }
            #expect(reads == 0 && writes == 0)
            peer.close()
            await loop.until { reads > 1 && writes > 1 }
            // No callback is called for an error without a watch.
            #expect(loop.removeReader(end.descriptor))
            #expect(loop.removeWriter(end.descriptor))
            let calls = reads + writes
            for _ in 0..<3 { await loop.yield() }
            #expect(reads + writes == calls)
            end.close()
        }
    }

    // covers: 116
    @Test(arguments: TestLoop.all)
    func removingReturnsWhetherThereWasACallback(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            try withSockets { end, _ in
                #expect(!loop.removeReader(end.descriptor))
                #expect(!loop.removeWriter(end.descriptor))
                try loop.addReader(end.descriptor) {}
                #expect(!loop.removeWriter(end.descriptor))
                #expect(loop.removeReader(end.descriptor))
                #expect(!loop.removeReader(end.descriptor))
                #expect(!loop.removeReader(FileDescriptor(rawValue: -1)))
                #expect(!loop.removeWriter(FileDescriptor(rawValue: .max)))
            }
            let (closed, peer) = try Socket.pair()
            peer.close()
            closed.close()
            #expect(!loop.removeReader(closed.descriptor))
        }
    }

    // covers: 116
    @Test(arguments: TestLoop.all)
    func closedLoopHasNothingToRemove(kind: TestLoop) async throws {
        try await withLoopThread(kind) { loop in
            let (end, peer) = try Socket.pair()
            try loop.addReader(end.descriptor) {}
            try loop.addWriter(end.descriptor) {}
            try loop.close()
            #expect(!loop.removeReader(end.descriptor))
            #expect(!loop.removeWriter(end.descriptor))
            #expect(code { try loop.addReader(end.descriptor) {} } == .closed)
            end.close()
            peer.close()
        }
    }

    // covers: 117
    /// In asyncio the reader and the writer have their own handles, and a replaced callback's handle is cancelled.
    @Test(arguments: TestLoop.all)
    func readerThatReplacesTheWriterPreventsBothFromRunning(kind: TestLoop) async throws {
        try await withVirtualPair(kind) { loop, end, peer in
            var calls: [String] = []
            try loop.addReader(end.descriptor) {
                calls.append("reader")
                loop.removeReader(end.descriptor)
                try loop.addWriter(end.descriptor) {
                    calls.append("new writer in tick \(loop.statistics.ticks)")
                    loop.removeWriter(end.descriptor)
                    loop.stop()
                }
            }
            try loop.addWriter(end.descriptor) { calls.append("old writer") }
            sendByte(peer)
            try loop.runForever()
            #expect(calls == ["reader", "new writer in tick 2"])
        }
    }

    // covers: 117
    @Test(arguments: TestLoop.all)
    func readerThatRemovesTheWriterPreventsItFromRunning(kind: TestLoop) async throws {
        try await withVirtualPair(kind) { loop, end, peer in
            var calls: [String] = []
            try loop.addWriter(end.descriptor) { calls.append("writer") }
            try loop.addReader(end.descriptor) {
                calls.append("reader")
                loop.removeWriter(end.descriptor)
                loop.removeReader(end.descriptor)
                loop.stop()
            }
            sendByte(peer)
            try loop.runForever()
            #expect(calls == ["reader"])
        }
    }
}
