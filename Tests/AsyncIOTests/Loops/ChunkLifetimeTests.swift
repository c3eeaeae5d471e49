import AsyncIOTesting
import SystemPackage
import Testing

@testable import AsyncIO

/// Chunks that exist longer than what they came from.
struct ChunkLifetimeTests {
    // covers: 329, 338
    @Test(arguments: TestLoop.all)
    func chunksOutliveTheirConnectionAndTheirLoop(kind: TestLoop) async throws {
        let chunks = RetainedChunks()
        try await withLoop(kind) { loop in
            for number in 0..<20 {
                let (near, far) = try Socket.pair()
                let (reader, writer) = try await loop.openConnection(to: .socket(near))
                let text = [UInt8](repeating: UInt8(number), count: 1 + 1_000 * number)
                _ = text.withUnsafeBytes { far.send($0) }
                var count = 0
                while count < text.count, let chunk = try await reader.readChunk() {
                    count += chunk.byteCount
                    chunks.append(consume chunk, UInt8(number))
                }
                #expect(count == text.count)
                writer.close()
                far.close()
                await loop.yield()
                #expect(chunks.areUnchanged)
            }
            // The memory is used again for other connections, and not that of the chunks.
            let (near, far) = try Socket.pair()
            let (reader, writer) = try await loop.openConnection(to: .socket(near))
            for _ in 0..<50 {
                let bytes = [UInt8](repeating: 0xee, count: 3_000)
                _ = bytes.withUnsafeBytes { far.send($0) }
                _ = try await reader.readChunk()
            }
            writer.close()
            far.close()
        }
        // `withLoop` has closed the loop and has seen its release.
        #expect(chunks.areUnchanged)
        let other = try OtherThread.run { chunks.areUnchanged }
        #expect(other)
        // Returned on another thread.
        try OtherThread.run { chunks.removeAll() }
    }
}

/// Chunks, with the byte that each one consists of.
private final class RetainedChunks: @unchecked Sendable {
    private final class Box {
        let chunk: StreamChunk
        let byte: UInt8

        init(_ chunk: consuming StreamChunk, _ byte: UInt8) {
            self.chunk = chunk
            self.byte = byte
        }
    }

    private var boxes: [Box] = []

    func append(_ chunk: consuming StreamChunk, _ byte: UInt8) { boxes.append(Box(chunk, byte)) }

    func removeAll() { boxes = [] }

    var areUnchanged: Bool {
        boxes.allSatisfy { box in box.chunk.withUnsafeBytes { $0.isFilled(with: box.byte) } }
    }
}
