package import CAsyncIO
public import SystemPackage

/// A non-blocking, close-on-exec socket.
///
/// A plain value without ownership: whoever holds the last use closes it. One method per system call, named after it. None
/// of them waits; a socket that was made blocking elsewhere waits in ``connect(to:)`` and ``accept()`` only.
@frozen
public struct Socket: Sendable, Hashable {
    /// The descriptor's number.
    public var number: CInt

    @inlinable
    public init(number: CInt) {
        self.number = number
    }

    public var descriptor: FileDescriptor { FileDescriptor(rawValue: number) }

    /// A new stream socket for addresses of `address`'s family. socket(2).
    public static func stream(for address: SocketAddress) throws(Errno) -> Socket {
        Socket(number: try valueOrErrno(aio_socket(address.cFamily, CInt(SOCK_STREAM.rawValue), 0)))
    }

    /// Moves what has arrived into `buffer`; no bytes mean the end. recv(2).
    public func receive(into buffer: UnsafeMutableRawBufferPointer) -> IOResult {
        guard let base = buffer.baseAddress else { return .bytes(0) }
        return IOResult(cResult: aio_receive(number, base, buffer.count))
    }

    /// Hands as many of `bytes` to the kernel as it takes now; raises no SIGPIPE. send(2).
    public func send(_ bytes: UnsafeRawBufferPointer) -> IOResult {
        guard let base = bytes.baseAddress else { return .bytes(0) }
        return IOResult(cResult: aio_send(number, base, bytes.count))
    }

    /// As `send(_:)`, of several pieces, at most 1,024. sendmsg(2).
    package func send(_ pieces: UnsafeBufferPointer<iovec>) -> IOResult {
        guard let base = pieces.baseAddress else { return .bytes(0) }
        return IOResult(cResult: aio_send_vector(number, base, CInt(pieces.count)))
    }

    /// Frees the descriptor. Call it once: the number may belong to somebody else right after. close(2).
    ///
    /// A loop that watches the socket does not hear of it: see `EventLoop.sockClose(_:)`.
    public func close() {
        _ = aio_close(number)
    }

    /// Makes `close()` reset the connection instead of ending it. SO_LINGER of zero seconds.
    public func resetOnClose() {
        _ = aio_set_reset_on_close(number)
    }
}

/// Connecting and listening.
extension Socket {
    /// Begins to connect. connect(2).
    ///
    /// - Returns: whether the connection is there already; otherwise the socket becomes writable at the end of the
    ///   attempt, and ``pendingError()`` says how it went.
    public func connect(to address: SocketAddress) throws(Errno) -> Bool {
        let result = address.withCAddress { aio_connect(number, $0, $1) }
        if result == -EINPROGRESS { return false }
        _ = try valueOrErrno(result)
        return true
    }

    /// bind(2).
    public func bind(to address: SocketAddress) throws(Errno) {
        _ = try valueOrErrno(address.withCAddress { aio_bind(number, $0, $1) })
    }

    /// listen(2).
    public func listen(backlog: Int) throws(Errno) {
        _ = try valueOrErrno(aio_listen(number, CInt(clamping: backlog)))
    }

    /// The next waiting connection, or `nil` if none waits. accept4(2).
    public func accept() throws(Errno) -> (socket: Socket, peer: SocketAddress?)? {
        var storage = sockaddr_storage()
        var length = socklen_t()
        let result = aio_accept(number, &storage, &length)
        if result == -EAGAIN || result == -EWOULDBLOCK { return nil }
        let accepted = Socket(number: try valueOrErrno(result))
        return (accepted, SocketAddress(storage, length: length))
    }

    /// The address this end has; getsockname(2). `nil` if the system will not say.
    public var localAddress: SocketAddress? {
        var storage = sockaddr_storage()
        var length = socklen_t()
        return aio_local_address(number, &storage, &length) == 0 ? SocketAddress(storage, length: length) : nil
    }

    /// Whether it is connected. getpeername(2).
    package var hasPeer: Bool {
        var storage = sockaddr_storage()
        var length = socklen_t()
        return aio_peer_address(number, &storage, &length) == 0
    }

    /// The address of the other end; getpeername(2). `nil` if there is none (any more).
    public var peerAddress: SocketAddress? {
        var storage = sockaddr_storage()
        var length = socklen_t()
        return aio_peer_address(number, &storage, &length) == 0 ? SocketAddress(storage, length: length) : nil
    }
}
