public import SystemPackage

/// The reason why a process cannot use io_uring.
public struct IOUringUnavailable: Error, Hashable, Sendable, CustomStringConvertible {
    /// A sentence without a full stop, such as `io_uring_setup failed: Too many open files`.
    public let description: String
    /// The error of the system; `ENOTSUP` if the kernel lacks a feature.
    // The last property for the reason that `EventLoopError.code` gives.
    public let errno: Errno

    package init(_ errno: Errno, _ description: String) {
        self.errno = errno
        self.description = description
    }

    /// A system call that failed.
    package init(_ call: String, _ errno: Errno) {
        self.init(errno, Self.reason(call, errno))
    }

    private static func reason(_ call: String, _ errno: Errno) -> String {
        switch errno {
        case .notPermitted, .permissionDenied:
            "\(call) is forbidden, by kernel.io_uring_disabled or a sandbox such as a container's seccomp filter (\(errno))"
        case .noFunction: "\(call) does not exist in the kernel, or a sandbox hides it (\(errno))"
        case .invalidArgument: "the kernel is older than Linux 6.1 (\(call): \(errno))"
        case .noMemory: "\(call) failed: \(errno); the memory of a ring may count towards RLIMIT_MEMLOCK"
        default: "\(call) failed: \(errno)"
        }
    }
}
