/// Reading into memory of the loop's, which is lent for as long as the program needs it.
extension StreamReader {
    /// Waits for bytes and returns what there is; `nil` at EOF.
    ///
    /// ```swift
    /// while let chunk = try await reader.readChunk() {
    ///     try await writer.write(chunk)
    /// }
    /// ```
    ///
    /// The bytes are received into a buffer of the loop's pool and neither copied nor zeroed. A task that waits here holds
    /// no buffer, so that an idle connection costs none. A chunk has between one byte and 256 KiB; the size follows what the
    /// connection sends. The buffer returns to the pool when the chunk goes out of scope.
    ///
    /// Throws as ``read(into:)-([UInt8])``. A cancelled call has taken no byte.
    ///
    /// - Thread: any; a task that is not on the loop hops.
    public func readChunk() async throws -> sending StreamChunk? {
        if transport.isOnLoop {
            if let lease = try attemptChunk() { return chunk(of: lease) }
            let (isHome, record) = transport.unretainedHomeRecord(&binding, #isolation)
            if isHome {
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

    /// A buffer that is neither the pool's nor a chunk's: in one of the functions below.
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
        if isDrained { return nil }
        return try receiveChunk()
    }

    /// What has come, of no bytes at EOF; `nil` if there is nothing yet.
    @inline(__always)
    private func receiveChunk() throws -> Lease? {
        let size = chunkSizing.size
        let memory = pool._withUnsafeGuaranteedRef { $0.take(size) }
        do {
            if let byteCount = try take(into: UnsafeMutableRawBufferPointer(start: memory, count: size.byteCount)) {
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

    private func putBack(_ memory: UnsafeMutableRawPointer, _ size: ChunkPool.Size) {
        pool._withUnsafeGuaranteedRef { $0.put(memory, size) }
    }

    /// SAFETY: not retained. The transport holds the loop, and that holds the pool.
    @inline(__always)
    private var pool: Unmanaged<ChunkPool> { Unmanaged.passUnretained(loop.chunkPool) }
}
