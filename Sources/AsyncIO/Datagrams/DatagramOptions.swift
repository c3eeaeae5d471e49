public import AsyncIOSystem

/// The options of a datagram endpoint. An existing socket ignores `family` and `reusePort`.
public struct DatagramOptions: Sendable {
    /// The family of the socket; `nil`, the default, for any family that the addresses have. Needed without addresses.
    public var family: SocketAddress.Family?
    /// Whether to share the port with other sockets of this user that request it too (SO_REUSEPORT). `false` by
    /// default.
    ///
    /// A datagram then goes to one of the sockets, and a multicast datagram to each. There is no option for
    /// SO_REUSEADDR, because it would let another program take the port of this one, and its datagrams.
    public var reusePort: Bool
    /// Whether datagrams may be sent to broadcast addresses (SO_BROADCAST). `false` by default. asyncio:
    /// `allow_broadcast`.
    ///
    /// The socket is not connected to a remote address then, because answers to a broadcast come from others.
    public var allowsBroadcast: Bool
    /// The options of the socket, set before it is bound; none by default. SO_REUSEADDR is refused, see ``reusePort``.
    public var socketOptions: [SocketOption: Int]
    /// How much ``EventLoop/openDatagramEndpoint(local:remote:options:fileID:line:)`` stores of what no task has
    /// received yet, in bytes; each datagram counts as 64 bytes more than it has. 256 KiB by default.
    public var receiveBufferBytes: Int

    public init(
        family: SocketAddress.Family? = nil, reusePort: Bool = false, allowsBroadcast: Bool = false,
        socketOptions: [SocketOption: Int] = [:], receiveBufferBytes: Int = 256 * 1024
    ) {
        self.family = family
        self.reusePort = reusePort
        self.allowsBroadcast = allowsBroadcast
        self.socketOptions = socketOptions
        self.receiveBufferBytes = receiveBufferBytes
    }
}
