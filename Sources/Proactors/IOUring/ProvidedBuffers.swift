#if os(Linux)
import AsyncIOSystem
import CAsyncIO
import SystemPackage

/// Buffers of one size that the kernel takes when bytes arrive, in a ring of its own (a "provided buffer ring").
///
/// The kernel names a buffer that it has used by its identifier. The memory goes to the receiver, and other memory from
/// the pool takes its place before the next wait. Therefore memory that a program retains is not missing here. If more
/// bytes arrive in one iteration than there are buffers, the operation ends with `ENOBUFS`, and the number of buffers
/// doubles.
struct ProvidedBuffers: ~Copyable {
    /// Each group has identifiers of its own, so that they name the group too. A power of two.
    private static let capacity = 4096
    private let size: BufferPool.Size
    private let firstIdentifier: UInt16
    private let entries: UnsafeMutablePointer<aio_ring_buffer>
    private let memory: UnsafeMutablePointer<UnsafeMutableRawPointer>
    private var count = 0
    private var tail: UInt16 = 0
    /// The indices of buffers whose memory was taken. Not an array, because an append would check whether it is shared.
    ///
    /// SAFETY: there is room for all buffers, and the kernel uses each once until it is provided again.
    private let emptied: UnsafeMutablePointer<UInt16>
    private var emptiedCount = 0

    init(_ size: BufferPool.Size, _ ring: UnsafePointer<aio_ring>) throws(Errno) {
        var opened: UnsafeMutablePointer<aio_ring_buffer>?
        let result = aio_ring_buffers_open(ring, UInt16(size.index), UInt32(Self.capacity), &opened)
        guard result >= 0, let opened else { throw Errno(rawValue: -result) }
        self.size = size
        firstIdentifier = UInt16(size.index * Self.capacity)
        entries = opened
        memory = .allocate(capacity: Self.capacity)
        emptied = .allocate(capacity: Self.capacity)
    }

    /// 64 buffers of 16 KiB, 16 of 64 KiB, 8 of 256 KiB.
    static func initialCount(_ size: BufferPool.Size) -> Int { max(8, 64 >> (2 * size.index)) }

    /// The index of the group with this buffer.
    @inline(__always) static func group(of identifier: UInt16) -> Int { Int(identifier) / capacity }

    /// The most buffers: 16 MiB of them.
    private var mostCount: Int { (16 << 20) / size.byteCount }

    /// The ring has been closed, so the kernel no longer uses the buffers.
    deinit {
        aio_ring_buffers_close(entries, UInt32(Self.capacity))
        memory.deallocate()
        emptied.deallocate()
    }

    /// Provides more buffers, up to `count` in all.
    mutating func grow(to count: Int, _ pool: Unmanaged<BufferPool>) {
        while self.count < min(count, mostCount) {
            memory[self.count] = pool.take(size)
            provide(self.count)
            self.count += 1
        }
        // All buffers that one iteration empties may return to the pool before the next wait takes as many.
        pool._withUnsafeGuaranteedRef { $0.retainFree(self.count, size) }
        publish()
    }

    mutating func double(_ pool: Unmanaged<BufferPool>) { grow(to: 2 * count, pool) }

    /// Returns the memory of a buffer that the kernel has used.
    @inline(__always) mutating func take(_ identifier: UInt16) -> PooledBuffer {
        let index = Int(identifier &- firstIdentifier)
        emptied[emptiedCount] = UInt16(truncatingIfNeeded: index)
        emptiedCount &+= 1
        return PooledBuffer(memory[index], size)
    }

    /// Provides a buffer again that the kernel has taken and not used.
    mutating func provideAgain(_ identifier: UInt16) {
        provide(Int(identifier &- firstIdentifier))
        publish()
    }

    /// Provides memory of the pool in the place of what was taken. Before a wait, so that most of it is what was
    /// received into last, and is still in the cache.
    @inline(__always) mutating func refill(_ pool: Unmanaged<BufferPool>) {
        if emptiedCount == 0 { return }
        for position in 0..<emptiedCount {
            let index = Int(emptied[position])
            memory[index] = pool.take(size)
            provide(index)
        }
        emptiedCount = 0
        publish()
    }

    /// Whether all buffers were used.
    var isExhausted: Bool { emptiedCount >= count }

    @inline(__always) private mutating func provide(_ index: Int) {
        aio_ring_buffers_set(
            entries, UInt32(Self.capacity &- 1), tail, memory[index], UInt32(size.byteCount),
            firstIdentifier &+ UInt16(truncatingIfNeeded: index))
        tail &+= 1
    }

    /// Makes the provided buffers visible to the kernel.
    @inline(__always) private func publish() { aio_ring_buffers_publish(entries, tail) }

    /// Returns all buffers to the pool. The kernel no longer uses them.
    mutating func removeAll(_ pool: Unmanaged<BufferPool>) {
        let emptied = Set(UnsafeBufferPointer(start: emptied, count: emptiedCount))
        for index in 0..<count where !emptied.contains(UInt16(index)) { pool.put(memory[index], size) }
        count = 0
    }
}
#endif
