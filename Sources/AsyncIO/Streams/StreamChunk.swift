import AsyncIOSystem

/// Received bytes in memory that the loop lends. ``StreamReader/readChunk()`` returns them.
///
/// The memory returns to the loop's pool when the chunk goes out of scope or is consumed, on any thread. If a
/// completion loop has not yet sent what was written from it, the memory returns after that. A chunk has exactly one
/// owner, may outlive its connection and its loop, and is not `Sendable`. It retains up to 256 KiB; copy the bytes
/// (`Array(chunk.bytes)`) to store many of them for a long time, or to use them on another thread.
public struct StreamChunk: ~Copyable {
    let buffer: PooledBuffer
    /// The number of received bytes, at least one.
    public let byteCount: Int
    private let pool: BufferPool

    @inline(__always)
    init(_ memory: UnsafeMutableRawPointer, _ size: BufferPool.Size, byteCount: Int, _ pool: BufferPool) {
        buffer = PooledBuffer(memory, size)
        self.byteCount = byteCount
        self.pool = pool
    }

    deinit {
        buffer.release(to: Unmanaged.passUnretained(pool))
    }

    /// The bytes. The span is valid as long as the chunk exists.
    public var bytes: RawSpan {
        @_lifetime(borrow self)
        get {
            // SAFETY: the memory belongs to the chunk, and the span's lifetime depends on the chunk.
            let span = RawSpan(_unsafeStart: buffer.memory, byteCount: byteCount)
            return _overrideLifetime(span, borrowing: self)
        }
    }

    func withUnsafeBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try body(UnsafeRawBufferPointer(start: buffer.memory, count: byteCount))
    }
}

@available(*, unavailable, message: "a chunk belongs to one task; copy its bytes to use them on another thread")
extension StreamChunk: Sendable {}

extension StreamReader {
    /// Waits for bytes and returns those that have arrived; returns `nil` at EOF.
    ///
    /// ```swift
    /// while let chunk = try await reader.readChunk() {
    ///     try await writer.write(chunk)
    /// }
    /// ```
    ///
    /// The bytes are received into a buffer of the loop's pool, and are neither copied nor zeroed. A task that waits in
    /// this function uses no buffer, so an idle connection costs none. A chunk has between one byte and 256 KiB; its
    /// size follows the amounts that the connection receives.
    ///
    /// Throws as ``read(into:)-([UInt8])`` does.
    public func readChunk() async throws -> sending StreamChunk? {
        let lease = try await read(waitsFirst: isDrained) { hasLookAhead ? lookAheadChunk() : try receiveChunk() }
        if lease.byteCount > 0 {
            return StreamChunk(lease.memory, lease.size, byteCount: lease.byteCount, loop.chunkPool)
        }
        loop.chunkPool.put(lease.memory, lease.size)
        return nil
    }

    /// A buffer that belongs neither to the pool nor to a chunk, while a task reads.
    private struct Lease {
        // SAFETY: the lease is the only reference to the buffer.
        nonisolated(unsafe) let memory: UnsafeMutableRawPointer
        let size: BufferPool.Size
        let byteCount: Int
    }

    @inline(never) private func lookAheadChunk() -> Lease {
        let size = chunkSizing.size
        let memory = loop.chunkPool.take(size)
        let count = lookAhead.queue.take(into: UnsafeMutableRawBufferPointer(start: memory, count: size.byteCount))
        return Lease(memory: memory, size: size, byteCount: count)
    }

    /// Receives bytes when there is no look-ahead. Returns a lease of no bytes at EOF, and `nil` if none have arrived.
    @inline(__always) private func receiveChunk() throws -> Lease? {
        if transport.lendsBuffers, let lease = lentBuffer() { return lease }
        let size = chunkSizing.size
        let memory = pool._withUnsafeGuaranteedRef { $0.take(size) }
        do {
            let buffer = UnsafeMutableRawBufferPointer(start: memory, count: size.byteCount)
            if let byteCount = try transport.receiveNow(into: buffer) {
                chunkSizing.received(byteCount)
                return Lease(memory: memory, size: size, byteCount: byteCount)
            }
        } catch {
            putBack(memory, size)
            throw error
        }
        putBack(memory, size)
        return nil
    }

    /// Returns bytes that the driver has in a buffer of the pool.
    @inline(never) private func lentBuffer() -> Lease? {
        transport.receiveBufferNow().map { buffer, byteCount in
            Lease(memory: buffer.memory, size: buffer.size, byteCount: byteCount)
        }
    }

    private func putBack(_ memory: UnsafeMutableRawPointer, _ size: BufferPool.Size) {
        pool._withUnsafeGuaranteedRef { $0.put(memory, size) }
    }

    /// SAFETY: not retained, because the transport retains the loop, which retains the pool.
    @inline(__always) private var pool: Unmanaged<BufferPool> { Unmanaged.passUnretained(loop.chunkPool) }
}
