import CAsyncIO
public import SystemPackage

/// Ends another thread's wait.
///
/// `Sendable` and reference-counted: whoever may still wake holds a reference, and the last holder closes the
/// descriptor. So a late wake-up never writes into a number that belongs to somebody else by then.
/// It carries no data: what there is to do is kept elsewhere, and several wake-ups may become one.
public final class Waker: Sendable {
    /// Becomes readable at a wake-up; register it for reading, level-triggered.
    public let descriptor: FileDescriptor
    private let writeEnd: FileDescriptor

    public init() throws(Errno) {
        #if os(Linux)
        descriptor = FileDescriptor(rawValue: try valueOrErrno(aio_eventfd()))
        writeEnd = descriptor
        #else
        var ends: [CInt] = [-1, -1]
        _ = try valueOrErrno(ends.withUnsafeMutableBufferPointer { aio_pipe($0.baseAddress!) })
        descriptor = FileDescriptor(rawValue: ends[0])
        writeEnd = FileDescriptor(rawValue: ends[1])
        #endif
    }

    deinit {
        _ = aio_close(descriptor.rawValue)
        if writeEnd != descriptor { _ = aio_close(writeEnd.rawValue) }
    }

    /// The descriptor that a signal handler writes eight bytes to.
    package var writeDescriptor: FileDescriptor { writeEnd }

    /// Makes the descriptor readable. Any thread. A full descriptor is fine: a wake-up is there already.
    public func wake() {
        var one: UInt64 = 1
        _ = aio_write(writeEnd.rawValue, &one, 8)
    }

    /// Takes all wake-ups that are there. The waiting thread.
    public func drain() {
        var bytes: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
        #if os(Linux)
        _ = aio_read(descriptor.rawValue, &bytes, 8)
        #else
        while aio_read(descriptor.rawValue, &bytes, 32) == 32 {}
        #endif
    }
}
