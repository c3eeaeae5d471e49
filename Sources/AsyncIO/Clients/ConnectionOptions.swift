public import AsyncIOSystem

/// The options of a client's connection.
public struct ConnectionOptions: Sendable {
    /// The local address, or `nil`, the default, to let the system choose, as it does for port 0. Remote addresses of
    /// another family are skipped. It cannot be used with existing sockets. asyncio: `local_addr`.
    public var localAddress: SocketAddress?
    /// The options of the socket, set before it connects; TCP_NODELAY by default, as in asyncio, if it is TCP.
    public var socketOptions: [SocketOption: Int]
    /// How long an attempt to connect may take before the next address of the endpoint is tried beside it, 250 ms by
    /// default, as RFC 8305 recommends. At most 16 addresses are tried at once. `nil` tries the addresses one after the
    /// other, in the order of the resolver, as asyncio does by default. asyncio: `happy_eyeballs_delay`.
    public var attemptDelay: Duration?
    /// The length of the longest line that a reader accepts, 64 KiB by default. Must be positive. asyncio: `limit`.
    public var limitBytes: Int
    /// Creates the filter that every byte of the connection passes, such as TLS; `nil`, the default, for none. The
    /// connection is reported when the filter is established. If it fails before, the call throws its error.
    public var makeFilter: (@Sendable () throws -> any StreamFilter)?

    public init(
        localAddress: SocketAddress? = nil, socketOptions: [SocketOption: Int] = [.noDelay: 1],
        attemptDelay: Duration? = .milliseconds(250), limitBytes: Int = EventLoop.defaultLineLimitBytes,
        makeFilter: (@Sendable () throws -> any StreamFilter)? = nil
    ) {
        self.localAddress = localAddress
        self.socketOptions = socketOptions
        self.attemptDelay = attemptDelay
        self.limitBytes = limitBytes
        self.makeFilter = makeFilter
    }
}
