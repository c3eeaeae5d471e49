import AsyncIOSystem
import Testing

@testable import AsyncIO

struct ReceivedBuffersTests {
    @Test func bytesThatAreLeftMoveToAnotherBufferIfTheirOwnIsKept() throws {
        let pool = BufferPool()
        let unretained = Unmanaged.passUnretained(pool)
        var received = ReceivedBuffers()
        for text in ["first", "second"] {
            let buffer = PooledBuffer(pool.take(.small), .small)
            buffer.bytes.copyBytes(from: text.utf8)
            received.append(buffer, byteCount: text.utf8.count)
        }
        let first = received.consumeKeepingBuffer(2, unretained)
        let kept = try #require(first)
        #expect(String(decoding: kept.bytes[..<5], as: UTF8.self) == "first")
        let second = received.consumeKeepingBuffer(3, unretained)
        let other = try #require(second)
        #expect(other.memory != kept.memory)
        #expect(String(decoding: other.bytes[..<3], as: UTF8.self) == "rst")
        let left = received.first.map { String(decoding: $0, as: UTF8.self) }
        #expect(left == "second")
        received.removeAll(unretained)
        let none = received.consumeKeepingBuffer(1, unretained)
        #expect(none == nil)
        #expect(pool.retainedCounts == [1, 0, 0])
        for buffer in [kept, other] { pool.put(buffer.memory, buffer.size) }
        #expect(pool.retainedCounts == [3, 0, 0])
    }
}
