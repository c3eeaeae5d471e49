public import CAsyncIO
import Synchronization

/// The memory that a loop receives into when the program has provided none: buffers of three sizes, last in, first out.
///
/// A loop has one pool. `StreamReader.readChunk()` lends its buffers, and a proactor receives into them. The proactor
/// takes a buffer when bytes arrive, and its completion passes the buffer on to the connection. So a silent connection
/// has no buffer, and a buffer that stays in use for long delays no other connection, because the pool allocates more.
/// A connection bounds the number of its buffers that were not read.
///
/// A buffer may be returned on any thread, and after the loop was closed, as long as the pool is retained. Other
/// threads return it to a second list, which the loop collects before it allocates. Each list retains a mebibyte of
/// each size, and the first one retains more if a proactor takes more at a time.
///
/// SAFETY: there are three sizes, so their indices need no check. `local` is accessed only by the thread whose loop
/// slot contains the owner's address. That is one thread at a time: if another loop gets the address after this one was
/// freed, the memory allocator orders the two.
///
/// - Thread: the loop's, except for `put(_:_:)`. Until a loop owns the pool, one thread without a running loop.
public final class BufferPool: @unchecked Sendable {
    /// The size of a buffer.
    @frozen
    public struct Size: Sendable, Hashable {
        /// One byte, because every connection has one.
        @usableFromInline let number: UInt8

        /// - Parameter index: 0, 1 or 2.
        @inlinable package init(index: Int) { number = UInt8(truncatingIfNeeded: index) }

        /// The position in the order of the sizes, from 0.
        @inlinable public var index: Int { Int(number) }
        /// 16 KiB.
        @inlinable public static var small: Size { Size(index: 0) }
        /// 64 KiB.
        @inlinable public static var medium: Size { Size(index: 1) }
        /// 256 KiB.
        @inlinable public static var large: Size { Size(index: 2) }

        /// The number of bytes.
        @inlinable public var byteCount: Int { 16_384 &<< (2 &* index) }
        @inlinable var mostRetained: Int { 64 &>> (2 &* index) }
    }

    /// Free buffers of one size. Each contains the address of the next one.
    @usableFromInline struct FreeList {
        @usableFromInline var count = 0
        /// The most buffers that are retained.
        @usableFromInline var limit: Int
        @usableFromInline var first: UnsafeMutableRawPointer?

        init(limit: Int) {
            self.limit = limit
        }

        @inlinable mutating func push(_ buffer: UnsafeMutableRawPointer) {
            buffer.storeBytes(of: first, as: UnsafeMutableRawPointer?.self)
            first = buffer
            count &+= 1
        }

        @inlinable mutating func pop() -> UnsafeMutableRawPointer? {
            guard let buffer = first else { return nil }
            first = buffer.load(as: UnsafeMutableRawPointer?.self)
            count &-= 1
            return buffer
        }
    }

    /// Free buffers of one size that other threads have returned. They push one by one; the loop takes all at once.
    private struct ReturnedList: ~Copyable {
        let count = Atomic<Int>(0)
        let first = Atomic<UnsafeMutableRawPointer?>(nil)
    }

    @usableFromInline let owner: UnsafeMutableRawPointer?
    @usableFromInline let local = UnsafeMutablePointer<FreeList>.allocate(capacity: 3)
    private let returned = UnsafeMutablePointer<ReturnedList>.allocate(capacity: 3)

    /// Creates a pool for a proactor, until a loop sets its own.
    public convenience init() { self.init(owner: nil) }

    /// - Parameter owner: The address of a loop.
    package init(owner: UnsafeMutableRawPointer?) {
        self.owner = owner
        for index in 0..<3 {
            (local + index).initialize(to: FreeList(limit: Size(index: index).mostRetained))
            (returned + index).initialize(to: ReturnedList())
        }
    }

    deinit {
        for index in 0..<3 {
            collectReturned(index)
            while let buffer = local[index].pop() { PooledBuffer.deallocate(buffer) }
        }
        returned.deinitialize(count: 3)
        returned.deallocate()
        local.deallocate()
    }

    /// Returns a buffer with undefined contents.
    @inlinable @inline(__always) public func take(_ size: Size) -> UnsafeMutableRawPointer {
        if let buffer = local[size.index].pop() { return buffer }
        return takeSlowly(size)
    }

    @usableFromInline func takeSlowly(_ size: Size) -> UnsafeMutableRawPointer {
        collectReturned(size.index)
        return local[size.index].pop() ?? PooledBuffer.allocate(size)
    }

    /// Returns a buffer to the pool, which ``take(_:)`` of this pool or another one has returned.
    ///
    /// - Thread: any.
    @inlinable @inline(__always) public func put(_ buffer: UnsafeMutableRawPointer, _ size: Size) {
        if isOnOwner, local[size.index].count < local[size.index].limit {
            local[size.index].push(buffer)
        } else {
            putSlowly(buffer, size)
        }
    }

    /// Retains at least `count` free buffers of a size from now on, for a taker that uses so many at a time.
    package func retainFree(_ count: Int, _ size: Size) {
        local[size.index].limit = max(local[size.index].limit, count)
    }

    @inlinable @inline(__always) var isOnOwner: Bool {
        // As numbers, because a comparison of optional pointers takes more instructions.
        UInt(bitPattern: aio_loop_slot_get()) == UInt(bitPattern: owner)
    }

    @usableFromInline func putSlowly(_ buffer: UnsafeMutableRawPointer, _ size: Size) {
        let list = returned + size.index
        if isOnOwner || list.pointee.count.load(ordering: .relaxed) >= size.mostRetained {
            return PooledBuffer.deallocate(buffer)
        }
        list.pointee.count.add(1, ordering: .relaxed)
        var first = list.pointee.first.load(ordering: .relaxed)
        while true {
            buffer.storeBytes(of: first, as: UnsafeMutableRawPointer?.self)
            let (exchanged, found) = list.pointee.first.compareExchange(
                expected: first, desired: buffer, ordering: .releasing)
            if exchanged { return }
            first = found
        }
    }

    private func collectReturned(_ index: Int) {
        if returned[index].first.load(ordering: .relaxed) == nil { return }
        var next = returned[index].first.exchange(nil, ordering: .acquiring)
        while let buffer = next {
            next = buffer.load(as: UnsafeMutableRawPointer?.self)
            returned[index].count.subtract(1, ordering: .relaxed)
            local[index].push(buffer)
        }
    }

    /// The number of free buffers of each size, for tests.
    package var retainedCounts: [Int] {
        (0..<3).map { local[$0].count + returned[$0].count.load(ordering: .relaxed) }
    }
}

/// As the functions of the pool, without retaining it, because there is a call for every message.
///
/// SAFETY: something else retains the pool.
extension Unmanaged where Instance == BufferPool {
    @inlinable @inline(__always) package func take(_ size: BufferPool.Size) -> UnsafeMutableRawPointer {
        _withUnsafeGuaranteedRef { $0.take(size) }
    }

    @inlinable @inline(__always) package func put(_ buffer: UnsafeMutableRawPointer, _ size: BufferPool.Size) {
        _withUnsafeGuaranteedRef { $0.put(buffer, size) }
    }
}

/// A buffer of a ``BufferPool``, which a completion passes to the receiver.
///
/// It is a value that owns nothing: the receiver returns the buffer to the pool exactly once.
@frozen
public struct PooledBuffer: @unchecked Sendable, Hashable {
    public let memory: UnsafeMutableRawPointer
    public let size: BufferPool.Size

    @inlinable public init(_ memory: UnsafeMutableRawPointer, _ size: BufferPool.Size) {
        self.memory = memory
        self.size = size
    }

    /// The memory with its size.
    @inlinable public var bytes: UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(start: memory, count: size.byteCount)
    }
}
