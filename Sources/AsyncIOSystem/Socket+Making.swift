import CAsyncIO
public import SystemPackage

/// Creating sockets.
extension Socket {
    /// The type of a socket. More types may be added.
    public struct Kind: Sendable, Hashable, CustomStringConvertible {
        package let cType: CInt

        /// Bytes in order, on a connection (SOCK_STREAM).
        public static var stream: Kind { Kind(cType: CInt(SOCK_STREAM.rawValue)) }
        /// Messages with boundaries (SOCK_DGRAM).
        public static var datagram: Kind { Kind(cType: CInt(SOCK_DGRAM.rawValue)) }

        /// The name of the constant, such as `stream`.
        public var description: String { self == .stream ? "stream" : "datagram" }
    }

    /// Creates a socket for connections: TCP, or a unix socket. socket(2).
    public static func stream(_ family: SocketAddress.Family) throws(Errno) -> Socket {
        try make(family, .stream)
    }

    /// Creates a socket for datagrams: UDP, or a unix socket. socket(2).
    public static func datagram(_ family: SocketAddress.Family) throws(Errno) -> Socket {
        try make(family, .datagram)
    }

    /// Creates two connected unix sockets. socketpair(2).
    public static func pair(_ kind: Kind = .stream) throws(Errno) -> (Socket, Socket) {
        var numbers: (CInt, CInt) = (-1, -1)
        let result = withUnsafeMutableBytes(of: &numbers) {
            aio_socket_pair(AF_UNIX, kind.cType, $0.assumingMemoryBound(to: CInt.self).baseAddress!)
        }
        _ = try valueOrErrno(result)
        return (Socket(number: numbers.0), Socket(number: numbers.1))
    }

    /// Makes an existing socket non-blocking and close-on-exec, and returns it.
    ///
    /// Throws `ENOTSOCK` or `EBADF`, and leaves the descriptor unchanged then. The descriptor is never closed.
    public init(adopting descriptor: FileDescriptor) throws(Errno) {
        self.init(number: descriptor.rawValue)
        _ = try option(SocketOption(level: SOL_SOCKET, name: SO_TYPE))
        try setNonBlocking(true)
        _ = try valueOrErrno(aio_set_close_on_exec(number))
    }

    private static func make(_ family: SocketAddress.Family, _ kind: Kind) throws(Errno) -> Socket {
        Socket(number: try valueOrErrno(aio_socket(family.cFamily, kind.cType, 0)))
    }
}

/// Properties of a socket.
extension Socket {
    /// The family of the socket's addresses; `nil` for a family that `SocketAddress` does not support, and for a
    /// descriptor that is not a socket.
    public var family: SocketAddress.Family? { localAddress?.family }

    /// Whether calls return instead of waiting (O_NONBLOCK). fcntl(2).
    ///
    /// This is a property of the open file: setting it applies to all duplicates of the descriptor.
    public func isNonBlocking() throws(Errno) -> Bool {
        try valueOrErrno(aio_is_non_blocking(number)) != 0
    }

    /// Sets whether calls return instead of waiting. fcntl(2).
    public func setNonBlocking(_ isNonBlocking: Bool) throws(Errno) {
        _ = try valueOrErrno(aio_set_non_blocking(number, isNonBlocking ? 1 : 0))
    }
}

/// Shutting down one or both directions of a connection. shutdown(2).
extension Socket {
    /// Shuts down the write side (half-close). The peer receives EOF.
    public func shutdownWrite() throws(Errno) {
        _ = try valueOrErrno(aio_shutdown_write(number))
    }

    /// Shuts down the read side. Further reads return the bytes that have arrived, and then EOF.
    public func shutdownRead() throws(Errno) {
        _ = try valueOrErrno(aio_shutdown_read(number))
    }

    /// Shuts down both directions. The descriptor stays open.
    public func shutdown() throws(Errno) {
        _ = try valueOrErrno(aio_shutdown_both(number))
    }
}
