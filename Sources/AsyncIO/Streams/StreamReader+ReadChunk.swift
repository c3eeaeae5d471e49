import AsyncIOSystem

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
        if transport.isOnLoop {
            if let lease = try attemptChunk() { return chunk(of: lease) }
            let (hasAffinity, record) = transport.unretainedAffinityRecord(&binding, #isolation)
            if hasAffinity {
                isBusy = true
                defer { isBusy = false }
                while true {
                    try await transport.waitUntilReadable(record)
                    if let lease = try receiveChunk() { return chunk(of: lease) }
                }
            }
        }
        return chunk(of: try await loop.hop { try await leaseOnLoop() })
    }

    /// A buffer that belongs neither to the pool nor to a chunk, while one of the functions below runs.
    private struct Lease {
        // SAFETY: the lease is the only reference to the buffer.
        nonisolated(unsafe) let memory: UnsafeMutableRawPointer
        let size: ChunkPool.Size
        let byteCount: Int
    }

    @inline(__always)
    private func chunk(of lease: Lease) -> sending StreamChunk? {
        if lease.byteCount > 0 {
            return StreamChunk(lease.memory, lease.size, byteCount: lease.byteCount, loop.chunkPool)
        }
        loop.chunkPool.put(lease.memory, lease.size)
        return nil
    }

    private func leaseOnLoop() async throws -> Lease {
        if let lease = try attemptChunk() { return lease }
        isBusy = true
        defer { isBusy = false }
        while true {
            try await transport.waitUntilReadable(nil as TaskRecord?)
            if let lease = try receiveChunk() { return lease }
        }
    }

    @inline(__always)
    private func attemptChunk() throws -> Lease? {
        if isBusy { throw EventLoopError.busy("read from this connection") }
        if hasLookAhead { return lookAheadChunk() }
        if transport.hasNothing { return nil }
        return try receiveChunk()
    }

    @inline(never)
    private func lookAheadChunk() -> Lease {
        let size = chunkSizing.size
        let memory = loop.chunkPool.take(size)
        let count = lookAhead.take(into: UnsafeMutableRawBufferPointer(start: memory, count: size.byteCount))
        return Lease(memory: memory, size: size, byteCount: count)
    }

    /// Receives bytes when there is no look-ahead. Returns a lease of no bytes at EOF, and `nil` if nothing has
    /// arrived.
    @inline(__always)
    private func receiveChunk() throws -> Lease? {
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
    @inline(never)
    private func lentBuffer() -> Lease? {
        transport.receiveBufferNow().map { buffer, byteCount in
            Lease(memory: buffer.memory, size: buffer.size, byteCount: byteCount)
        }
    }

    private func putBack(_ memory: UnsafeMutableRawPointer, _ size: ChunkPool.Size) {
        pool._withUnsafeGuaranteedRef { $0.put(memory, size) }
    }

    /// SAFETY: not retained, because the transport retains the loop, which retains the pool.
    @inline(__always)
    private var pool: Unmanaged<ChunkPool> { Unmanaged.passUnretained(loop.chunkPool) }
}
