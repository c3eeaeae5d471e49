import AsyncIOSystem
import Testing

@testable import AsyncIO

struct ReceivedBuffersTests {
    @Test func bufferWithAnotherOwnerReturnsToThePoolWhenTheLastOneReleasesIt() throws {
        let pool = BufferPool()
        let unretained = Unmanaged.passUnretained(pool)
        var received = ReceivedBuffers()
        for text in ["first", "second"] {
            let buffer = PooledBuffer(pool.take(.small), .small)
            buffer.bytes.copyBytes(from: text.utf8)
            received.append(buffer, byteCount: text.utf8.count)
        }
        let first = received.first?.buffer
        let shared = try #require(first)
        shared.retain()
        received.consume(2, unretained)
        let left = received.first.map { String(decoding: $0.bytes, as: UTF8.self) }
        #expect(left == "rst")
        shared.retain()
        received.consume(3, unretained)
        #expect(String(decoding: shared.bytes[..<5], as: UTF8.self) == "first")
        let next = received.first.map { String(decoding: $0.bytes, as: UTF8.self) }
        #expect(next == "second")
        received.removeAll(unretained)
        #expect(pool.retainedCounts == [1, 0, 0])
        shared.release(to: unretained)
        #expect(pool.retainedCounts == [1, 0, 0])
        shared.release(to: unretained)
        #expect(pool.retainedCounts == [2, 0, 0])
    }

    /// A chunk may be released on another thread, while the loop releases the buffer after a send.
    @Test func ownersOnSeveralThreadsReturnABufferOnce() {
        let pool = BufferPool()
        let buffer = PooledBuffer(pool.take(.small), .small)
        for _ in 0..<rounds(debug: 200, full: 10_000) {
            buffer.retain()
            buffer.retain()
            let threads = (0..<3).map { _ in OtherThread { buffer.release(to: Unmanaged.passUnretained(pool)) } }
            for thread in threads { thread.join() }
            #expect(pool.retainedCounts == [1, 0, 0])
            #expect(pool.take(.small) == buffer.memory)
        }
        pool.put(buffer.memory, buffer.size)
    }
}
