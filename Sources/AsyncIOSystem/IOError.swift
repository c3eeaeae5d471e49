import CAsyncIO
public import SystemPackage

/// A system call that failed: what was tried, on which address, and why.
public struct IOError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The reason that the system gave.
    public var errno: Errno
    /// What was tried, as a verb: `connect to`, `listen on`, `receive from`.
    public var operation: String
    /// The address that it was tried on, if there was one.
    public var address: SocketAddress?

    public init(_ errno: Errno, operation: String, address: SocketAddress? = nil) {
        self.errno = errno
        self.operation = operation
        self.address = address
    }

    /// One sentence, such as `cannot connect to 127.0.0.1:9: Connection refused`. A lack of descriptors comes with the limit.
    public var description: String {
        let target = address.map { " \($0)" } ?? ""
        return "cannot \(operation)\(target): \(errno)\(Self.limit(of: errno))"
    }

    private static func limit(of errno: Errno) -> String {
        guard errno == .tooManyOpenFiles else { return "" }
        let limit = aio_descriptor_limit()
        return limit < 0 ? "" : " (the process's limit is \(limit) descriptors, RLIMIT_NOFILE)"
    }
}
