#if os(Linux)
import AsyncIOSystem
import CAsyncIO
import SystemPackage

/// Buffers of one size that the kernel takes when bytes arrive, in a ring of its own (a "provided buffer ring").
///
/// The kernel names a buffer that it has used by its identifier. The memory goes to the receiver, and new memory from
/// the pool takes its place at once. Therefore memory that a program retains is not missing here. If more bytes arrive
/// in one iteration than there are buffers, the operation ends with `ENOBUFS`, and the number of buffers doubles.
struct ProvidedBuffers: ~Copyable {
    /// Each group has identifiers of its own, so that they name the group too. A power of two.
    private static let capacity = 4096
    private let size: BufferPool.Size
    private let firstIdentifier: UInt16
    private let entries: UnsafeMutablePointer<aio_ring_buffer>
    private let memory: UnsafeMutablePointer<UnsafeMutableRawPointer>
    private var count = 0
    private var tail: UInt16 = 0
    /// The number of buffers that were taken since the last call of `publish`, and before it.
    private var takenCount = 0
    private var takenBefore = 0

    init(_ size: BufferPool.Size, _ ring: UnsafePointer<aio_ring>) throws(Errno) {
        var opened: UnsafeMutablePointer<aio_ring_buffer>?
        let result = aio_ring_buffers_open(ring, UInt16(size.index), UInt32(Self.capacity), &opened)
        guard result >= 0, let opened else { throw Errno(rawValue: -result) }
        self.size = size
        firstIdentifier = UInt16(size.index * Self.capacity)
        entries = opened
        memory = .allocate(capacity: Self.capacity)
    }

    /// 64 buffers of 16 KiB, 16 of 64 KiB, 8 of 256 KiB.
    static func initialCount(_ size: BufferPool.Size) -> Int { max(8, 64 >> (2 * size.index)) }

    /// The index of the group with this buffer.
    @inline(__always) static func group(of identifier: UInt16) -> Int { Int(identifier) / capacity }

    /// Whether all buffers were used at the last call of `publish`.
    var wasExhausted: Bool { takenBefore >= count }

    /// The most buffers: 16 MiB of them.
    private var mostCount: Int { (16 << 20) / size.byteCount }

    /// The ring has been closed, so the kernel no longer uses the buffers.
    deinit {
        aio_ring_buffers_close(entries, UInt32(Self.capacity))
        memory.deallocate()
    }

    /// Provides more buffers, up to `count` in all.
    mutating func grow(to count: Int, _ pool: Unmanaged<BufferPool>) {
        while self.count < min(count, mostCount) {
            memory[self.count] = pool.take(size)
            provide(self.count)
            self.count += 1
        }
        publish()
    }

    mutating func double(_ pool: Unmanaged<BufferPool>) { grow(to: 2 * count, pool) }

    /// Returns the memory of a buffer that the kernel has used, and provides another one in its place.
    @inline(__always) mutating func take(_ identifier: UInt16, _ pool: Unmanaged<BufferPool>) -> PooledBuffer {
        let index = Int(identifier &- firstIdentifier)
        let taken = memory[index]
        memory[index] = pool.take(size)
        takenCount &+= 1
        provide(index)
        return PooledBuffer(taken, size)
    }

    /// Provides a buffer again that the kernel has taken and not used.
    mutating func provideAgain(_ identifier: UInt16) { provide(Int(identifier &- firstIdentifier)) }

    @inline(__always) private mutating func provide(_ index: Int) {
        aio_ring_buffers_set(
            entries, UInt32(Self.capacity &- 1), tail, memory[index], UInt32(size.byteCount),
            firstIdentifier &+ UInt16(truncatingIfNeeded: index))
        tail &+= 1
    }

    /// Makes the buffers visible to the kernel that were provided since the last call.
    @inline(__always) mutating func publish() {
        aio_ring_buffers_publish(entries, tail)
        takenBefore = takenCount
        takenCount = 0
    }

    /// Returns all buffers to the pool. The kernel no longer uses them.
    mutating func removeAll(_ pool: Unmanaged<BufferPool>) {
        for index in 0..<count { pool.put(memory[index], size) }
        count = 0
    }
}
#endif
