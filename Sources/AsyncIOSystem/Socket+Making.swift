import CAsyncIO
public import SystemPackage

/// Where sockets come from.
extension Socket {
    /// What a socket moves.
    public enum Kind: Sendable, Hashable {
        /// Bytes in order, on a connection (SOCK_STREAM).
        case stream
        /// Messages with boundaries (SOCK_DGRAM).
        case datagram

        var cType: CInt {
            switch self {
            case .stream: CInt(SOCK_STREAM.rawValue)
            case .datagram: CInt(SOCK_DGRAM.rawValue)
            }
        }
    }

    /// A new socket for connections: TCP, or a unix socket. socket(2).
    public static func stream(_ family: SocketAddress.Family) throws(Errno) -> Socket {
        try make(family, .stream)
    }

    /// A new socket for messages: UDP, or a unix socket. socket(2).
    public static func datagram(_ family: SocketAddress.Family) throws(Errno) -> Socket {
        try make(family, .datagram)
    }

    /// Two connected unix sockets. socketpair(2).
    public static func pair(_ kind: Kind = .stream) throws(Errno) -> (Socket, Socket) {
        var numbers: (CInt, CInt) = (-1, -1)
        let result = withUnsafeMutableBytes(of: &numbers) {
            aio_socket_pair(AF_UNIX, kind.cType, $0.assumingMemoryBound(to: CInt.self).baseAddress!)
        }
        _ = try valueOrErrno(result)
        return (Socket(number: numbers.0), Socket(number: numbers.1))
    }

    /// Takes a socket that came from elsewhere, and makes it non-blocking and closed on exec.
    ///
    /// Throws `ENOTSOCK` or `EBADF`; the descriptor then stays as it was. It is not closed in any case.
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

/// What a socket is, and how it behaves.
extension Socket {
    /// The family of its addresses; `nil` for one that is not known here, and for what is no socket.
    public var family: SocketAddress.Family? { localAddress?.family }

    /// Whether its calls return instead of waiting (O_NONBLOCK). fcntl(2).
    ///
    /// A property of the open file: whoever holds a duplicate of the descriptor changes it for all.
    public func isNonBlocking() throws(Errno) -> Bool {
        try valueOrErrno(aio_is_non_blocking(number)) != 0
    }

    /// fcntl(2).
    public func setNonBlocking(_ isNonBlocking: Bool) throws(Errno) {
        _ = try valueOrErrno(aio_set_non_blocking(number, isNonBlocking ? 1 : 0))
    }
}

/// Ending a connection, one direction at a time. shutdown(2).
extension Socket {
    /// Ends the writing direction; the peer reads an end.
    public func shutdownWrite() throws(Errno) {
        _ = try valueOrErrno(aio_shutdown_write(number))
    }

    /// Ends the reading direction: what is read from now on is an end, after what has arrived.
    public func shutdownRead() throws(Errno) {
        _ = try valueOrErrno(aio_shutdown_read(number))
    }

    /// Ends both directions. The descriptor stays open.
    public func shutdown() throws(Errno) {
        _ = try valueOrErrno(aio_shutdown_both(number))
    }
}
