public import AsyncIOSystem

/// How a client connects.
public struct ConnectionOptions: Sendable {
    /// The address of this end; port 0 lets the system choose. Addresses of the host of another family are not tried.
    /// asyncio: `local_addr`.
    public var localAddress: SocketAddress?

    public init(localAddress: SocketAddress? = nil) {
        self.localAddress = localAddress
    }
}
