import AsyncIOSystem
import AsyncIOTesting
import Testing

@testable import AsyncIO

/// Chunks: received bytes in memory that the loop lends.
struct ReadChunkTests {
    @Test(arguments: ScriptedBackend.allCases, [false, true])
    func readChunkReturnsReceivedBytesAndThenAlwaysNil(backend: ScriptedBackend, mustWait: Bool) async throws {
        try await withScriptedNetwork(backend) { network in
            let (reader, writer, peer) = try network.openStreams()
            if !mustWait { peer.sends("hello") }
            let reading = network.loop.createTask {
                try await reader.nextChunk()
            }
            await network.idle()
            if mustWait { peer.sends("hello") }
            #expect(try await reading.value == Array("hello".utf8))
            peer.ends()
            for _ in 0..<3 {
                let isEnd = try await reader.readChunk() == nil
                #expect(isEnd)
            }
            #expect(reader.isAtEOF)
            writer.close()
        }
    }

    @Test(arguments: ScriptedBackend.allCases)
    func readChunkReturnsTheLookAheadFirst(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let (reader, writer, peer) = try network.openStreams()
            peer.sends("line\nrest")
            #expect(try await reader.readLine() == "line")
            #expect(try await reader.nextChunk() == Array("rest".utf8))
            writer.close()
        }
    }

    @Test(arguments: ScriptedBackend.allCases)
    func chunkIsUnchangedWhileLaterChunksAreRead(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let (reader, writer, peer) = try network.openStreams()
            peer.sends("first")
            let first = try await reader.expectedChunk()
            peer.sends("second")
            let second = try await reader.expectedChunk()
            #expect([UInt8](copying: first) == Array("first".utf8))
            #expect([UInt8](copying: second) == Array("second".utf8))
            writer.close()
        }
    }

    // Filters take buffers of the same pool, so they are left out.
    @Test(arguments: [ScriptedBackend.readiness, .completion])
    func waitingReadUsesNoBufferAndAChunkReturnsItsBuffer(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            var free: Int { network.loop.chunkPool.retainedCounts.reduce(0, +) }
            let (reader, writer, peer) = try network.openStreams()
            let first = network.loop.createTask { try await reader.nextChunk() }
            await network.idle()
            peer.sends("x")
            #expect(try await first.value == [UInt8(ascii: "x")])
            peer.sends("w")
            #expect(try await reader.nextChunk() == [UInt8(ascii: "w")])
            let all = free
            #expect(all > 0)
            let second = network.loop.createTask { try await reader.nextChunk() }
            await network.idle()
            #expect(free == all)
            peer.sends("y")
            #expect(try await second.value == [UInt8(ascii: "y")])
            #expect(free == all)
            peer.sends("z")
            do {
                let chunk = try await reader.expectedChunk()
                #expect(chunk.byteCount == 1)
                #expect(free == all - 1)
            }
            #expect(free == all)
            peer.ends()
            let isEnd = try await reader.readChunk() == nil
            #expect(isEnd)
            #expect(free == all)
            writer.close()
        }
    }

    // Filters take buffers of the same pool.
    @Test(arguments: TestLoop.all)
    func chunkReleasedOnAnotherThreadReturnsItsBuffer(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            try await loop.withSocketPair { reader, far in
                far.sendText("one")
                nonisolated(unsafe) let carrier = ChunkCarrier()
                carrier.chunk = try await reader.expectedChunk()
                let address = carrier.address
                let free = loop.chunkPool.retainedCounts.reduce(0, +)
                OtherThread { carrier.chunk = nil }.join()
                #expect(loop.chunkPool.retainedCounts.reduce(0, +) == free + 1)
                #expect(loop.chunkPool.freeAddresses.contains { $0 == address })
                far.sendText("two")
                #expect(try await reader.expectedChunk().byteCount == 3)
            }
        }
    }

    @Test(arguments: TestLoop.allAndFiltered)
    func chunkOutlivesItsConnectionAndItsLoop(kind: TestLoop) async throws {
        // A separate thread, for a loop of the test itself.
        try await withLoopThread(kind) { _ in
            weak var pool: BufferPool?
            nonisolated(unsafe) let carrier = ChunkCarrier()
            do {
                let loop = try kind.makeLoop()
                pool = loop.chunkPool
                try loop.runUntilComplete {
                    try await loop.withSocketPair { reader, far in
                        far.sendText("late")
                        carrier.chunk = try await reader.expectedChunk()
                    }
                }
                try loop.close()
            }
            #expect(pool != nil)
            #expect(carrier.bytes == Array("late".utf8))
            carrier.chunk = nil
            #expect(pool == nil)
        }
    }

    @Test(arguments: TestLoop.allAndFiltered)
    func cancelledReadChunkLosesNoByte(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            try await loop.withSocketPair { reader, far in
                for round in 0..<100 {
                    let reading = loop.createTask(eagerStart: true) { try await reader.nextChunk() }
                    if round.isMultiple(of: 2) { far.sendText("x") }
                    reading.cancel()
                    switch await reading.result {
                    case .success(let bytes): #expect(bytes == [UInt8(ascii: "x")])
                    case .failure(let error):
                        #expect(error is CancellationError)
                        if round.isMultiple(of: 2) {
                            let bytes = try await reader.nextChunk()
                            #expect(bytes == [UInt8(ascii: "x")])
                        }
                    }
                }
            }
        }
    }

    /// On a completion loop the sends take place after the chunk was released, from its memory.
    @Test(arguments: TestLoop.allAndFiltered)
    func chunkIsWrittenToSeveralConnectionsAndReleased(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let message = pattern(12_000)
            let messages = rounds(debug: 100, full: 2_000)
            var writers: [StreamWriter] = []
            let listeners = try await loop.startServer(host: "127.0.0.1", port: 0) { reader, writer in
                writers.append(writer)
                // Until the listener closes its connection.
                _ = try await reader.read(maxBytes: 1)
            }
            let source = try await loop.startServer(host: "127.0.0.1", port: 0) { reader, _ in
                while let chunk = try await reader.readChunk() {
                    for writer in writers { try await writer.write(chunk) }
                }
                for writer in writers { try await writer.writeEOF() }
                writers = []
            }
            let listening = (0..<2).map { number in
                loop.createTask { () -> [UInt8] in
                    try await loop.withConnection(host: "127.0.0.1", port: listeners.port) { reader, _ in
                        var received: [UInt8] = []
                        while true {
                            // One of them reads small pieces, so that its socket has no room for all bytes.
                            let bytes = try await reader.read(maxBytes: number == 0 ? 1_000 : 100_000)
                            if bytes.isEmpty { return received }
                            received += bytes
                        }
                    }
                }
            }
            await loop.until { writers.count == 2 }
            try await loop.withConnection(host: "127.0.0.1", port: source.port) { _, writer in
                for _ in 0..<messages { try await writer.write(message) }
            }
            let expected = (0..<messages).map { _ in message }.bytes
            for task in listening {
                let received = try await task.value
                #expect(received.withUnsafeBytes { got in expected.withUnsafeBytes { got.hasSameBytes(as: $0) } })
            }
            for server in [listeners, source] {
                server.close()
                try await server.waitClosed()
            }
        }
    }

    @Test(arguments: ScriptedBackend.allCases)
    func secondReaderIsRejected(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let (reader, writer, peer) = try network.openStreams()
            let reading = network.loop.createTask(eagerStart: true) { try await reader.nextChunk() }
            #expect(await asyncCode { _ = try await reader.nextChunk() } == .busy)
            peer.sends("x")
            #expect(try await reading.value == [UInt8(ascii: "x")])
            writer.close()
        }
    }

    @Test(arguments: TestLoop.allAndFiltered)
    func chunkSizeFollowsTheReceivedAmounts(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let total = 4 << 20
            let server = try await loop.startServer(host: "127.0.0.1", port: 0) { _, writer in
                try await writer.write([UInt8](repeating: 7, count: total))
            }
            try await loop.withConnection(host: "127.0.0.1", port: server.port) { reader, _ in
                var received = 0
                var largest = 0
                while let chunk = try await reader.readChunk() {
                    received += chunk.byteCount
                    largest = max(largest, chunk.byteCount)
                }
                #expect(received == total)
                // The buffer of a driver may be as large as this, and limit the chunks.
                #expect(largest >= BufferPool.Size.medium.byteCount)
            }
            server.close()
            try await server.waitClosed()
        }
    }

    @Test func chunkSizeGrowsWhenFilledAndShrinksAfterTwoSmallReceives() {
        var sizing = ChunkSizing()
        sizing.received(16_384)
        #expect(sizing.size == .medium)
        sizing.received(65_536)
        #expect(sizing.size == .large)
        sizing.received(262_144)
        #expect(sizing.size == .large)
        sizing.received(1)
        #expect(sizing.size == .large)
        sizing.received(100_000)
        sizing.received(1)
        #expect(sizing.size == .large)
        sizing.received(1)
        #expect(sizing.size == .medium)
        sizing.received(8_192)
        #expect(sizing.size == .medium)
        sizing.received(8_192)
        #expect(sizing.size == .small)
        sizing.received(1)
        sizing.received(1)
        #expect(sizing.size == .small)
    }

    @Test(arguments: TestLoop.allAndFiltered)
    func poolRetainsABoundedNumberOfBuffers(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let pool = loop.chunkPool
            let buffers = (0..<100).map { _ in pool.take(.small) }
            for buffer in buffers { pool.put(buffer, .small) }
            #expect(pool.retainedCounts == [64, 0, 0])
        }
    }
}

extension Socket {
    /// Sends a few bytes, for which the socket's buffer has room.
    fileprivate func sendText(_ text: String) {
        let sent = Array(text.utf8).withUnsafeBytes { send($0) }
        guard case .bytes(text.utf8.count) = sent else { preconditionFailure("the socket takes nothing") }
    }
}

private struct UnexpectedEndOfFile: Error {}

extension BufferPool {
    /// Where the free buffers are, in the order in which the pool hands them out.
    fileprivate var freeAddresses: [UInt] {
        var addresses: [UInt] = []
        for (size, count) in zip([Size.small, .medium, .large], retainedCounts) {
            let taken = (0..<count).map { _ in take(size) }
            for buffer in taken.reversed() { put(buffer, size) }
            addresses += taken.map { UInt(bitPattern: $0) }
        }
        return addresses
    }
}

private final class ChunkCarrier {
    var chunk: StreamChunk?

    var address: UInt? {
        switch chunk {
        case .some(let chunk): chunk.withUnsafeBytes { UInt(bitPattern: $0.baseAddress) }
        case .none: nil
        }
    }

    var bytes: [UInt8]? {
        switch chunk {
        case .some(let chunk): [UInt8](copying: chunk)
        case .none: nil
        }
    }
}

extension [UInt8] {
    fileprivate init(copying chunk: borrowing StreamChunk) {
        self = chunk.withUnsafeBytes { [UInt8]($0) }
    }
}

extension StreamReader {
    fileprivate func expectedChunk() async throws -> sending StreamChunk {
        guard let chunk = try await readChunk() else { throw UnexpectedEndOfFile() }
        return chunk
    }

    fileprivate func nextChunk() async throws -> [UInt8] {
        guard let chunk = try await readChunk() else { return [] }
        return [UInt8](copying: chunk)
    }
}

extension EventLoop {
    fileprivate func withSocketPair(_ body: (StreamReader, Socket) async throws -> Void) async throws {
        let (near, far) = try Socket.pair()
        defer { far.close() }
        let (reader, writer) = try await openConnection(to: .socket(near))
        try await body(reader, far)
        writer.close()
        try await writer.waitClosed()
    }
}
