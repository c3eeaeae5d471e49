public import SystemPackage

/// The reason why a process cannot use io_uring.
public struct IOUringUnavailable: Error, Hashable, Sendable, CustomStringConvertible {
    /// The error of the system; `ENOTSUP` if the kernel lacks a feature.
    public let errno: Errno
    /// A sentence without a full stop, such as `the kernel has no io_uring (Function not implemented)`.
    public let description: String

    package init(_ errno: Errno, _ description: String) {
        self.errno = errno
        self.description = description
    }
}
