import CAsyncIO
public import SystemPackage

/// Ends the wait of a loop in its back end, from any thread.
///
/// `Sendable` and reference-counted: each thread that may still call ``wake()`` has a reference, and the last release
/// closes the descriptor. So a late wake-up never writes to another file that has got the same number. A wake-up
/// carries no data, and several wake-ups may be merged into one.
public final class Waker: Sendable {
    /// The descriptor that becomes readable at a wake-up. Register it for reading, level-triggered.
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

    /// Makes the descriptor readable. Any thread. If the descriptor is full, a wake-up is pending already.
    public func wake() {
        var one: UInt64 = 1
        Self.check(aio_write(writeEnd.rawValue, &one, 8), writeEnd)
    }

    /// Traps if other code has closed the descriptor. The loop could not be woken any more, and the next write could
    /// reach another file with the same number.
    @inline(__always) private static func check(_ result: Int, _ descriptor: FileDescriptor) {
        if result == -Int(Errno.badFileDescriptor.rawValue) { failClosed(descriptor) }
    }

    @inline(never) private static func failClosed(_ descriptor: FileDescriptor) -> Never {
        fatalError("descriptor \(descriptor.rawValue) of an event loop was closed by code that does not own it")
    }

    /// Clears all wake-ups. On the thread that waits.
    ///
    /// - Returns: the error if the descriptor cannot be read; `nil` also if there was no wake-up.
    @discardableResult public func drain() -> Errno? {
        var bytes: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
        #if os(Linux)
        let count = aio_read(descriptor.rawValue, &bytes, 8)
        #else
        var count = aio_read(descriptor.rawValue, &bytes, 32)
        while count == 32 { count = aio_read(descriptor.rawValue, &bytes, 32) }
        #endif
        Self.check(count, descriptor)
        if case .failed(let error) = IOResult(cResult: count) { return error }
        return nil
    }
}
