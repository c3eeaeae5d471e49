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
        Self.check(aio_write(writeEnd.rawValue, &one, 8), writeEnd)
    }

    /// Somebody closed a descriptor that is not theirs. The loop could not be woken any more, and its number may be another
    /// file's next time: nothing that follows would be right.
    @inline(__always)
    private static func check(_ result: Int, _ descriptor: FileDescriptor) {
        if result == -Int(Errno.badFileDescriptor.rawValue) { failClosed(descriptor) }
    }

    @inline(never)
    private static func failClosed(_ descriptor: FileDescriptor) -> Never {
        fatalError("descriptor \(descriptor.rawValue) of an event loop was closed by somebody else")
    }

    /// Takes all wake-ups that are there. The waiting thread.
    ///
    /// - Returns: why they could not be taken. That there are none is no error.
    @discardableResult
    public func drain() -> Errno? {
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
