/// Received bytes in memory that the loop lends: what ``StreamReader/readChunk()`` returns.
///
/// The memory goes back to the loop's pool when the chunk goes out of scope or is consumed, on any thread. A chunk may
/// outlive its connection and its loop. While it lives it holds up to 256 KiB; a program that stores many chunks for a long
/// time should copy their bytes (`Array(chunk.bytes)`).
///
/// It cannot be copied, so there is exactly one owner. Not `Sendable`; to use the bytes on another thread, copy them.
public struct StreamChunk: ~Copyable {
    private let memory: UnsafeMutableRawPointer
    private let size: ChunkPool.Size
    /// How many bytes were received, at least one.
    public let byteCount: Int
    private let pool: ChunkPool

    /// Owns `memory` from here on.
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

    /// The bytes. The span is valid as long as the chunk.
    public var bytes: RawSpan {
        @_lifetime(borrow self)
        get {
            // SAFETY: the memory belongs to the chunk, which the span's lifetime depends on.
            let span = RawSpan(_unsafeStart: memory, byteCount: byteCount)
            return _overrideLifetime(span, borrowing: self)
        }
    }

    /// Calls `body` with the bytes, for functions that take a pointer. The pointer is valid until `body` returns.
    public func withUnsafeBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try body(UnsafeRawBufferPointer(start: memory, count: byteCount))
    }
}

@available(*, unavailable, message: "a chunk belongs to one task; copy its bytes to use them on another thread")
extension StreamChunk: Sendable {}
