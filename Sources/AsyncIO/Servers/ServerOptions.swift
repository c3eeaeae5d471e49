public import AsyncIOSystem
public import SystemPackage

/// The options of a server. Existing sockets ignore `reuseAddress` and `reusePort`.
public struct ServerOptions: Sendable {
    /// The number of connections that may wait in the kernel, 100 by default, as in asyncio. One iteration accepts at
    /// most that many, and at most 64.
    public var backlog: Int
    /// Whether to bind while old connections are in TIME_WAIT (SO_REUSEADDR). `true` by default, as in asyncio.
    public var reuseAddress: Bool
    /// Whether to share the port with other sockets that request it too (SO_REUSEPORT). `false` by default.
    public var reusePort: Bool
    /// The options of each accepted socket, TCP_NODELAY by default, as in asyncio. A unix socket gets no TCP options.
    public var socketOptions: [SocketOption: Int]
    /// The length of the longest line that a reader of `startServer` accepts, 64 KiB by default. Must be positive.
    /// asyncio: `limit`.
    public var limitBytes: Int
    /// Creates the filter that every byte of a connection passes, such as TLS; `nil`, the default, for none. The
    /// connection is reported when the filter is established. If it fails before, the connection is closed, and
    /// reported in debug mode only, because clients cause it.
    public var makeFilter: (@Sendable () throws -> any StreamFilter)?
    /// The number of open connections at which the server stops accepting, until one of them has ended; `nil`, the
    /// default, for no limit. Further clients wait in the kernel's queue of ``backlog``. On a completion loop, some of
    /// them may have been accepted before the limit was reached; they are served when there is room.
    public var maxConnections: Int?
    /// The permissions of the file of a unix socket; `nil`, the default, for those that the process's umask leaves. A
    /// client needs the permission to write. Allowed only for endpoints with a path, because others have no file.
    public var unixPermissions: FilePermissions?
    /// Whether to remove the file of a unix socket that the server has created when it is closed, unless another file
    /// has replaced it. `true` by default. asyncio: `cleanup_socket` (3.13).
    public var removesSocketFile: Bool
    /// Whether to accept connections before ``Server/startServing()``. `true` by default. asyncio: `start_serving`.
    public var startsServing: Bool

    public init(
        backlog: Int = 100, reuseAddress: Bool = true, reusePort: Bool = false,
        socketOptions: [SocketOption: Int] = [.noDelay: 1], limitBytes: Int = EventLoop.defaultLineLimitBytes,
        makeFilter: (@Sendable () throws -> any StreamFilter)? = nil, maxConnections: Int? = nil,
        unixPermissions: FilePermissions? = nil, removesSocketFile: Bool = true,
        startsServing: Bool = true
    ) {
        self.backlog = backlog
        self.reuseAddress = reuseAddress
        self.reusePort = reusePort
        self.socketOptions = socketOptions
        self.limitBytes = limitBytes
        self.makeFilter = makeFilter
        self.maxConnections = maxConnections
        self.unixPermissions = unixPermissions
        self.removesSocketFile = removesSocketFile
        self.startsServing = startsServing
    }
}

extension ServerOptions {
    /// Throws `.invalidArgument` for options that the endpoint cannot have.
    func check(for endpoint: Endpoint) throws(EventLoopError) {
        if let maxConnections, maxConnections < 1 {
            throw EventLoopError(.invalidArgument, "maxConnections must be positive, not \(maxConnections)")
        }
        if unixPermissions != nil, !endpoint.hasPathsOnly {
            throw EventLoopError(
                .invalidArgument, "unixPermissions cannot be applied to \(endpoint), which has no file")
        }
    }
}
