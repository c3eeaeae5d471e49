/// Memory that a proactor receives into when no program has provided any: the buffers of `receiveIntoPool` operations.
///
/// The proactor takes a buffer when bytes arrive, not when the operation begins, so a connection that is silent costs
/// no memory. It passes the buffer on with the completion; from then on the buffer belongs to the receiver of that
/// completion. A buffer that stays in use for long does not hold back others, because the pool allocates more. Who
/// receives is responsible for a bound: it cancels an operation whose bytes nobody reads.
///
/// This class allocates and frees. A loop replaces it by a pool that reuses buffers (`BaseProactor.buffers`).
///
/// - Thread: the loop's, except for `put(_:_:)`.
open class BufferPool: @unchecked Sendable {
    /// The size of a buffer.
    @frozen
    public struct Size: Sendable, Hashable {
        /// One byte, because every connection has one.
        @usableFromInline let number: UInt8

        /// - Parameter index: 0, 1 or 2.
        @inlinable
        package init(index: Int) { number = UInt8(truncatingIfNeeded: index) }

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
    }

    public init() {}

    /// Returns a buffer with undefined contents.
    open func take(_ size: Size) -> UnsafeMutableRawPointer {
        .allocate(byteCount: size.byteCount, alignment: 16)
    }

    /// Returns a buffer to the pool.
    ///
    /// - Thread: any.
    open func put(_ buffer: UnsafeMutableRawPointer, _ size: Size) {
        buffer.deallocate()
    }
}

/// A buffer of a ``BufferPool``, which a completion passes to the receiver.
///
/// It is a value that owns nothing: the receiver returns the buffer to the pool exactly once.
@frozen
public struct PooledBuffer: @unchecked Sendable, Hashable {
    public let memory: UnsafeMutableRawPointer
    public let size: BufferPool.Size

    @inlinable
    public init(_ memory: UnsafeMutableRawPointer, _ size: BufferPool.Size) {
        self.memory = memory
        self.size = size
    }

    /// The memory with its size.
    @inlinable public var bytes: UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(start: memory, count: size.byteCount)
    }
}
