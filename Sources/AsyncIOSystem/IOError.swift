import CAsyncIO
public import SystemPackage

/// The error of a failed system call: the operation, its address, and the reason.
public struct IOError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The operation as a verb, such as `connect to`, `listen on` or `receive from`.
    public var operation: String
    /// The address of the operation, if it has one.
    public var address: SocketAddress?
    /// What the error number does not say, such as `another server is listening there`; usually `nil`.
    public var detail: String?
    /// The error number of the system, errno(3).
    // The last property for the reason that `EventLoopError.code` gives.
    public var errno: Errno

    public init(_ errno: Errno, operation: String, address: SocketAddress? = nil, detail: String? = nil) {
        self.errno = errno
        self.operation = operation
        self.address = address
        self.detail = detail
    }

    /// A sentence such as `cannot connect to 127.0.0.1:9: Connection refused`. If the process has too many descriptors,
    /// it includes the limit.
    public var description: String {
        let target = address.map { " \($0)" } ?? ""
        let more = detail.map { " (\($0))" } ?? Self.limit(of: errno)
        return "cannot \(operation)\(target): \(errno)\(more)"
    }

    private static func limit(of errno: Errno) -> String {
        guard errno == .tooManyOpenFiles else { return "" }
        let limit = aio_descriptor_limit()
        return limit < 0 ? "" : " (the process's limit is \(limit) descriptors, RLIMIT_NOFILE)"
    }
}
