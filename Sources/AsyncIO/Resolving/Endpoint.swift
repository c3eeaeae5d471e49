public import AsyncIOSystem

/// What a client connects to, or what a server listens on.
///
/// ```swift
/// let (reader, writer) = try await loop.openConnection(to: .address(address))
/// let server = try await loop.startServer(on: .hosts(["127.0.0.1", "::1"], port: 8080)) { reader, writer in
///     try await writer.write("hello\n")
/// }
/// ```
///
/// Creating an endpoint looks up no name and opens no socket.
public struct Endpoint: Sendable, CustomStringConvertible {
    enum Storage: Sendable {
        /// An empty name means all interfaces.
        case hosts([String], port: UInt16)
        case addresses([SocketAddress])
        case sockets([Socket])
        case unix(UnixName)
        case standardStreams
    }

    let storage: Storage

    /// Returns the endpoint of a host, which is a name or a literal address.
    ///
    /// A client tries its addresses; a server listens on all of them. An empty name is
    /// ``allInterfaces(port:)``. Port 0, for servers, lets the system choose a port.
    public static func host(_ name: String, port: UInt16) -> Endpoint { hosts([name], port: port) }

    /// Returns the endpoint of several hosts: the addresses of each in order, each address once. All names are looked
    /// up before the first address is used.
    public static func hosts(_ names: [String], port: UInt16) -> Endpoint {
        Endpoint(storage: .hosts(names, port: port))
    }

    /// Returns the endpoint of all IPv4 and IPv6 interfaces of this machine. For servers only.
    public static func allInterfaces(port: UInt16) -> Endpoint { host("", port: port) }

    /// Returns the endpoint of an address, which needs no lookup.
    public static func address(_ address: SocketAddress) -> Endpoint { addresses([address]) }

    /// As ``hosts(_:port:)``, for addresses, each used once.
    public static func addresses(_ addresses: [SocketAddress]) -> Endpoint {
        Endpoint(storage: .addresses(addresses))
    }

    /// Returns the endpoint of the unix socket at a path, of at most 107 bytes. unix(7). asyncio:
    /// `create_unix_connection`, `create_unix_server`.
    ///
    /// A server creates the file, and removes it when it is closed, unless another file has replaced it. It replaces
    /// the file of a socket that no process has any more. It throws `EADDRINUSE` if another process, or another server
    /// of this one, has a socket there, whether or not it listens yet, and if the file is no socket. A client throws
    /// `EAGAIN` if the queue of the server is full, because the system has no way to wait for it. Unix connections
    /// cannot be reset: where a TCP connection is reset, the peer reads EOF, or gets `ECONNRESET` if some of its bytes
    /// were not read.
    public static func unix(_ path: String) -> Endpoint { Endpoint(storage: .unix(UnixName(kind: .path, text: path))) }

    /// Returns the endpoint of the unix socket with an abstract name, of at most 107 bytes. Linux only. unix(7).
    ///
    /// No file has the name, and it is free again when the socket is closed. Every process of the network namespace may
    /// connect; see ``StreamWriter/peerCredentials``.
    public static func abstract(_ name: String) -> Endpoint {
        Endpoint(storage: .unix(UnixName(kind: .abstractName, text: name)))
    }

    /// Returns the endpoint of a stream socket that exists already: for a client a connected one, for a server one that
    /// is bound and may listen already. asyncio: `sock`.
    ///
    /// It belongs to the call that it is passed to, which makes it non-blocking. The connection, the server, or a call
    /// that throws closes it; do not close it or use the endpoint again. Only a socket that this loop uses already
    /// (`.descriptorInUse`) stays open.
    public static func socket(_ socket: Socket) -> Endpoint { sockets([socket]) }

    /// As ``socket(_:)``, for several sockets of a server, such as those of a service manager, each given once.
    public static func sockets(_ sockets: [Socket]) -> Endpoint { Endpoint(storage: .sockets(sockets)) }

    /// The standard input and the standard output of the process, as the two directions of one connection. For clients
    /// only.
    ///
    /// ```swift
    /// try await loop.withConnection(to: .standardStreams) { reader, writer in
    ///     for try await line in reader.lines { try await writer.write("\(line)\n") }
    /// }
    /// ```
    ///
    /// They may be pipes, terminals, files and others: see `StandardStreams`, whose rules apply. At the end of the
    /// input the output stays open. When the reader of the output leaves, the connection is lost, with an `IOError`
    /// (EPIPE) in any case for a task. The end of writing closes the connection's own descriptor, not the standard
    /// output itself. The socket options of ``ConnectionOptions`` have no effect.
    public static var standardStreams: Endpoint { Endpoint(storage: .standardStreams) }

    /// Such as `example.org:80`, `[::1]:80`, `port 80 on all interfaces`, `unix:/run/app.sock`, `abstract:app` or
    /// `socket 7`; several with commas.
    public var description: String {
        switch storage {
        case .hosts(let names, let port):
            names.isEmpty ? "no host" : names.map { Self.describe($0, port) }.joined(separator: ", ")
        case .addresses(let addresses):
            addresses.isEmpty ? "no address" : addresses.map(\.description).joined(separator: ", ")
        case .sockets(let sockets):
            sockets.isEmpty ? "no socket" : sockets.map { "socket \($0.number)" }.joined(separator: ", ")
        case .unix(let name): name.description
        case .standardStreams: "the standard streams"
        }
    }

    private static func describe(_ host: String, _ port: UInt16) -> String {
        if host.isEmpty { return "port \(port) on all interfaces" }
        return host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }

    var sockets: [Socket] {
        if case .sockets(let sockets) = storage { sockets } else { [] }
    }

    /// The addresses that the program wrote out, rather than the name of a host that has them.
    var literalAddresses: [SocketAddress] {
        switch storage {
        case .hosts(let names, let port): names.compactMap { SocketAddress(literal: $0, port: port) }
        case .addresses(let addresses): addresses
        case .unix(let name): [name.address].compactMap(\.self)
        case .sockets, .standardStreams: []
        }
    }

    /// The name of a single host, unless it is a literal.
    var singleName: HostName? {
        guard case .hosts(let names, let port) = storage, names.count == 1 else { return nil }
        return SocketAddress(literal: names[0], port: port) == nil ? HostName(host: names[0], port: port) : nil
    }

    /// Whether a server creates a file for each address.
    var hasPathsOnly: Bool {
        switch storage {
        case .unix(let name): name.kind == .path
        case .addresses(let addresses): addresses.allSatisfy { $0.withUnixPath { _ in true } == true }
        case .hosts, .sockets, .standardStreams: false
        }
    }

    var isStandardStreams: Bool {
        if case .standardStreams = storage { true } else { false }
    }

    func checkForClient() throws(EventLoopError) {
        try checkNotEmpty("connect to")
        switch storage {
        case .hosts(let names, _) where names.contains(""):
            // A client would connect to whatever listens on its own machine.
            throw EventLoopError(
                .invalidArgument,
                "cannot connect to \(self): all interfaces are for servers, and a client needs the name of a host")
        case .sockets(let sockets) where sockets.count > 1:
            throw EventLoopError(
                .invalidArgument, "cannot connect with \(self): a client needs one socket, not \(sockets.count)")
        case .unix(let name): try name.check("connect to")
        default: break
        }
    }

    func checkForServer() throws(EventLoopError) {
        try checkNotEmpty("listen on")
        switch storage {
        case .standardStreams:
            throw EventLoopError(.invalidArgument, "cannot listen on \(self): they are one connection, for a client")
        // Each has one owner, which closes it.
        case .sockets(let sockets) where Set(sockets).count != sockets.count:
            throw EventLoopError(.invalidArgument, "the list of sockets to listen on contains a socket twice")
        case .unix(let name): try name.check("listen on")
        default: break
        }
    }

    private func checkNotEmpty(_ purpose: String) throws(EventLoopError) {
        let kind: String
        switch storage {
        case .hosts([], _): kind = "hosts"
        case .addresses([]): kind = "addresses"
        case .sockets([]): kind = "sockets"
        default: return
        }
        throw EventLoopError(.invalidArgument, "the list of \(kind) to \(purpose) is empty")
    }
}
