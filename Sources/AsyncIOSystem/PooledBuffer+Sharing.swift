public import Synchronization

/// A buffer may have several owners, for example a task that has received it and a send from it. Then each of them
/// releases it, on any thread, and the last one returns it to the pool.
extension PooledBuffer {
    /// The number of owners besides the first one: 0 in the pool, and for nearly every buffer, so that a release is one
    /// load. It stands in front of the bytes.
    @usableFromInline var otherOwners: UnsafeMutablePointer<Atomic<Int>> {
        @inlinable @inline(__always) get { (memory - Self.headerBytes).assumingMemoryBound(to: Atomic<Int>.self) }
    }

    /// The alignment of the bytes.
    @inlinable static var headerBytes: Int { 16 }

    static func allocate(_ size: BufferPool.Size) -> UnsafeMutableRawPointer {
        let memory = UnsafeMutableRawPointer.allocate(
            byteCount: headerBytes + size.byteCount, alignment: headerBytes)
        memory.bindMemory(to: Atomic<Int>.self, capacity: 1).initialize(to: Atomic(0))
        return memory + headerBytes
    }

    static func deallocate(_ buffer: UnsafeMutableRawPointer) { (buffer - headerBytes).deallocate() }

    /// Adds an owner. The caller is one, or knows of one that will not release the buffer meanwhile.
    package func retain() { otherOwners.pointee.wrappingAdd(1, ordering: .relaxed) }

    /// Removes an owner, and returns the buffer to the pool if it was the last one.
    @inlinable @inline(__always) package func release(to pool: Unmanaged<BufferPool>) {
        if otherOwners.pointee.load(ordering: .acquiring) == 0 || removeOneOfSeveral() { pool.put(memory, size) }
    }

    /// Removes an owner of a buffer that had several a moment ago. Returns whether it was the last one.
    @usableFromInline func removeOneOfSeveral() -> Bool {
        if otherOwners.pointee.wrappingSubtract(1, ordering: .acquiringAndReleasing).oldValue > 0 { return false }
        // The others have released the buffer since.
        otherOwners.pointee.store(0, ordering: .relaxed)
        return true
    }
}
