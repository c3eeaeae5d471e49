public import AsyncIOSystem
import Selectors
import SystemPackage

extension SocketOperations {
    /// Connects `socket` to `address`. asyncio: `sock_connect`.
    ///
    /// A failure throws an `IOError` with the address. The attempt of a cancelled task continues in the kernel. Another
    /// call with the same address joins it; for another address a new socket is needed. A unix server whose queue is
    /// full refuses with `EAGAIN`, because the system has no way to wait for it.
    public func connect(_ socket: Socket, to address: SocketAddress) async throws {
        do {
            try await loop.connect(socket, to: address, "sock.connect") {}
        } catch let error as Errno {
            throw IOError.connecting(error, to: address)
        }
    }

    /// As ``connect(_:to:)``, with the first address of `host` that is of the socket's family.
    ///
    /// Throws what ``EventLoop/resolve(host:port:)`` throws too, `.unknownHost` if there is no such address, and
    /// `.invalidArgument` for a unix socket, which has no hosts.
    public func connect(_ socket: Socket, host: String, port: UInt16) async throws {
        guard !host.isEmpty, let family = socket.family, family != .unix else {
            throw EventLoopError(
                .invalidArgument, "sock.connect: socket \(socket.number) cannot be connected to the host '\(host)'")
        }
        let addresses = try await loop.resolve(host: host, port: port)
        guard let address = addresses.first(where: { $0.family == family }) else {
            let name = family == .ipv4 ? "IPv4" : "IPv6"
            throw EventLoopError(.unknownHost, "the host '\(host)' has no \(name) address")
        }
        try await connect(socket, to: address)
    }

    private static var mostSkippedClients: Int { 64 }

    /// Waits for a client of a listening socket. The caller owns the new, non-blocking socket. asyncio: `sock_accept`.
    ///
    /// A cancelled task accepts no client, even if one is waiting, so that a cancelled accept loop ends. Clients that
    /// have disconnected before they were accepted, or whose network has failed, are skipped, up to 64 in a row; see
    /// accept(2). The address is `nil` for an unknown address family.
    public func accept(_ socket: Socket) async throws -> (socket: Socket, peer: SocketAddress?) {
        try Task.checkCancellation()
        return try await loop.whenReady(socket, .read, "sock.accept", mayBlock: true) {
            var skipped = 0
            while true {
                do {
                    return try loop.core.accept(socket)
                } catch let error as Errno {
                    if error.isOfOneClient, skipped < Self.mostSkippedClients {
                        skipped += 1
                    } else {
                        throw loop.failure(error, "accept on", socket, socket.localAddress)
                    }
                }
            }
        }
    }
}

extension EventLoop {
    /// Connects `socket` and calls `whenConnected` while no other task can use the socket. A driver that is created
    /// there takes over the registration with the poller. A failed connection throws an `Errno`.
    final nonisolated(nonsending) func connect<Result>(
        _ socket: Socket, to address: SocketAddress, _ function: StaticString, whenConnected: () throws -> Result
    ) async throws -> Result {
        try await withAffinity { record in
            let watcher = try watcher(of: socket.descriptor, function)
            try watcher.hold(.write)
            defer { watcher.release(.write) }
            try requireNonBlocking(socket, function)
            var isConnected = try await watcher.beginConnecting(socket, to: address, record)
            while !isConnected {
                _ = try await watcher.wait(for: .write, record)
                if let error = socket.pendingError() { throw error }
                // A socket that is writable and has no error is connected, unless other code has shut it down or has
                // read the error. Then no attempt is in progress, and the same event would be reported again and again.
                if let peer = socket.peerAddress {
                    try checkJoined(peer, address)
                    isConnected = true
                } else {
                    isConnected = try await watcher.beginConnecting(socket, to: address, record)
                }
            }
            return try whenConnected()
        }
    }

    /// Throws if the socket is connected to another address, to which the attempt in progress may have been.
    private final func checkJoined(_ peer: SocketAddress, _ address: SocketAddress) throws(Errno) {
        // A connection to a server's wildcard address has the machine's own address as its peer.
        if address.family == .unix || peer.port == address.port { return }
        throw .alreadyInProcess
    }
}

extension Errno {
    /// Whether accept(2) fails with it because of the client that it would have returned. Linux also reports what the
    /// client's network reported. Not `EOPNOTSUPP`, which sockets that accept nothing return too.
    fileprivate var isOfOneClient: Bool {
        switch self {
        case .connectionAbort, .protocolError, .protocolNotAvailable, .networkDown, .networkUnreachable, .hostIsDown,
            .noRouteToHost:
            true
        default: false
        }
    }
}
