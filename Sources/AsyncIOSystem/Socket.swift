package import CAsyncIO
public import SystemPackage

/// A non-blocking, close-on-exec socket.
///
/// A value that does not own its descriptor: its last user calls ``close()``. It has one method per system call, with
/// the name of the call. None of them waits, except ``connect(to:)`` and ``accept()`` on a socket that other code has
/// made blocking.
@frozen
public struct Socket: Sendable, Hashable {
    /// The descriptor's number.
    public var number: CInt

    @inlinable public init(number: CInt) {
        self.number = number
    }

    public var descriptor: FileDescriptor { FileDescriptor(rawValue: number) }

    /// Creates a stream socket for the family of `address`. socket(2).
    public static func stream(for address: SocketAddress) throws(Errno) -> Socket {
        Socket(number: try valueOrErrno(aio_socket(address.cFamily, CInt(SOCK_STREAM.rawValue), 0)))
    }

    /// Receives bytes into `buffer`. Zero bytes mean EOF. recv(2).
    public func receive(into buffer: UnsafeMutableRawBufferPointer) -> IOResult {
        guard let base = buffer.baseAddress else { return .bytes(0) }
        return IOResult(cResult: aio_receive(number, base, buffer.count))
    }

    /// Sends as many of `bytes` as the kernel accepts now. Raises no SIGPIPE. send(2).
    public func send(_ bytes: UnsafeRawBufferPointer) -> IOResult {
        guard let base = bytes.baseAddress else { return .bytes(0) }
        return IOResult(cResult: aio_send(number, base, bytes.count))
    }

    /// Sends several pieces, at most 1,024, like `send(_:)`. sendmsg(2).
    package func send(_ pieces: UnsafeBufferPointer<iovec>) -> IOResult {
        guard let base = pieces.baseAddress else { return .bytes(0) }
        return IOResult(cResult: aio_send_vector(number, base, CInt(pieces.count)))
    }

    /// Closes the descriptor. Call it once, because the number may be in use again immediately. close(2).
    ///
    /// A loop that watches the socket does not notice: see `EventLoop.sock.close(_:)`.
    public func close() {
        _ = aio_close(number)
    }

    /// Makes `close()` reset the connection, by SO_LINGER with zero seconds.
    public func resetOnClose() {
        _ = aio_set_reset_on_close(number)
    }
}

/// Connecting and listening.
extension Socket {
    /// Begins to connect. connect(2).
    ///
    /// - Returns: whether the socket is connected already. Otherwise the socket becomes writable when the attempt has
    ///   ended, and ``pendingError()`` returns its error.
    public func connect(to address: SocketAddress) throws(Errno) -> Bool {
        let result = address.withCAddress { aio_connect(number, $0, $1) }
        if result == -EINPROGRESS { return false }
        _ = try valueOrErrno(result)
        return true
    }

    /// Assigns a local address. bind(2).
    public func bind(to address: SocketAddress) throws(Errno) {
        _ = try valueOrErrno(address.withCAddress { aio_bind(number, $0, $1) })
    }

    /// Begins to listen for connections. listen(2).
    public func listen(backlog: Int) throws(Errno) {
        _ = try valueOrErrno(aio_listen(number, CInt(clamping: backlog)))
    }

    /// Accepts the next waiting connection; `nil` if none waits. accept4(2).
    public func accept() throws(Errno) -> (socket: Socket, peer: SocketAddress?)? {
        var storage = sockaddr_storage()
        var length = socklen_t()
        let result = aio_accept(number, &storage, &length)
        if result == -EAGAIN || result == -EWOULDBLOCK { return nil }
        let accepted = Socket(number: try valueOrErrno(result))
        return (accepted, SocketAddress(storage, length: length))
    }

    /// The local address; `nil` if the system reports none. getsockname(2).
    public var localAddress: SocketAddress? { (try? findLocalAddress()) ?? nil }

    /// Returns the local address; `nil` if it is of an unknown family. getsockname(2).
    package func findLocalAddress() throws(Errno) -> SocketAddress? {
        var storage = sockaddr_storage()
        var length = socklen_t()
        _ = try valueOrErrno(aio_local_address(number, &storage, &length))
        return SocketAddress(storage, length: length)
    }

    /// Whether the socket is connected. getpeername(2).
    package var hasPeer: Bool {
        var storage = sockaddr_storage()
        var length = socklen_t()
        return aio_peer_address(number, &storage, &length) == 0
    }

    /// The address of the peer; `nil` if the socket is not connected, or no longer. getpeername(2).
    public var peerAddress: SocketAddress? {
        var storage = sockaddr_storage()
        var length = socklen_t()
        return aio_peer_address(number, &storage, &length) == 0 ? SocketAddress(storage, length: length) : nil
    }
}
