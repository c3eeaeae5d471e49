import AsyncIOSystem

/// Received bytes in memory that the loop lends. ``StreamReader/readChunk()`` returns them.
///
/// The memory returns to the loop's pool when the chunk goes out of scope or is consumed, on any thread. A chunk has
/// exactly one owner, may outlive its connection and its loop, and is not `Sendable`. It retains up to 256 KiB; copy
/// the bytes (`Array(chunk.bytes)`) to store many of them for a long time, or to use them on another thread.
public struct StreamChunk: ~Copyable {
    private let memory: UnsafeMutableRawPointer
    private let size: ChunkPool.Size
    /// The number of received bytes, at least one.
    public let byteCount: Int
    private let pool: ChunkPool

    @inline(__always)
    init(_ memory: UnsafeMutableRawPointer, _ size: ChunkPool.Size, byteCount: Int, _ pool: ChunkPool) {
        self.memory = memory
        self.size = size
        self.byteCount = byteCount
        self.pool = pool
    }

    deinit {
        pool.put(memory, size)
    }

    /// The bytes. The span is valid as long as the chunk exists.
    public var bytes: RawSpan {
        @_lifetime(borrow self)
        get {
            // SAFETY: the memory belongs to the chunk, and the span's lifetime depends on the chunk.
            let span = RawSpan(_unsafeStart: memory, byteCount: byteCount)
            return _overrideLifetime(span, borrowing: self)
        }
    }

    func withUnsafeBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try body(UnsafeRawBufferPointer(start: memory, count: byteCount))
    }
}

@available(*, unavailable, message: "a chunk belongs to one task; copy its bytes to use them on another thread")
extension StreamChunk: Sendable {}
