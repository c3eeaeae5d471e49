public import AsyncIOSystem

/// How a server listens.
public struct ServerOptions: Sendable {
    /// Connections that the kernel keeps waiting, and the most that are accepted in one tick, which are never more than
    /// 64. asyncio: 100.
    public var backlog = 100
    /// Listen although old connections linger on the port (SO_REUSEADDR). asyncio: on, on Unix.
    public var reuseAddress = true
    /// Share the port with other sockets that ask for it too (SO_REUSEPORT).
    public var reusePort = false
    /// Options for each accepted socket. asyncio sets TCP_NODELAY too.
    public var connectionOptions: [SocketOption: Int] = [.noDelay: 1]
    /// Accept connections at once, or only after ``Server/startServing()``. asyncio: `start_serving`.
    public var startsServing = true

    public init() {}
}
