public import AsyncIOSystem
import Selectors
import SystemPackage

/// Connecting and accepting with sockets of one's own. What holds for all raw operations stands before
/// ``recv(_:maxBytes:)``.
extension SocketOperations {
    /// Connects `socket` to `address`. asyncio: `sock_connect`.
    ///
    /// The `IOError` of a failure names the address. The socket stays yours in any case, also when this is cancelled.
    /// The attempt then goes on in the kernel: another call with the same address joins it, and for another address a
    /// new socket is needed. A unix server whose queue is full refuses with `EAGAIN`, since the system has no way to
    /// wait for it.
    public func connect(_ socket: Socket, to address: SocketAddress) async throws {
        do {
            try await loop.connect(socket, to: address, "sock.connect") {}
        } catch let error as Errno {
            throw IOError.connecting(error, to: address)
        }
    }

    /// Connects `socket` to the first address of `host` that is of the socket's own family. asyncio: `sock_connect`.
    ///
    /// Throws as ``connect(_:to:)`` and ``EventLoop/resolve(host:port:)``, `.unknownHost` if the host has no address of
    /// that family, `.invalidArgument` for a unix socket, which has no hosts.
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

    /// Waits for a client of a listening socket. The new socket is non-blocking, and yours. asyncio: `sock_accept`.
    ///
    /// A cancelled task accepts nobody, also if a client is waiting, so that a cancelled accept loop ends. A client
    /// that has gone before it was accepted is passed over. The address is `nil` for a family that is not known here.
    public func accept(_ socket: Socket) async throws -> (socket: Socket, peer: SocketAddress?) {
        try Task.checkCancellation()
        return try await loop.whenReady(socket, .read, "sock.accept", mayBlock: true) {
            while true {
                do {
                    return try loop.core.accept(socket)
                } catch Errno.connectionAbort {
                    continue
                } catch let error as Errno {
                    throw loop.failure(error, "accept on", socket, socket.localAddress)
                }
            }
        }
    }
}

extension EventLoop {
    /// Connects `socket` and calls `whenConnected` while no other task can use the socket. A driver that is created
    /// there takes over the registration with the poller.
    ///
    /// Throws an `Errno` if the connection cannot be established, and what `sock.connect` throws.
    final nonisolated(nonsending) func connect<Result>(
        _ socket: Socket, to address: SocketAddress, _ function: StaticString, whenConnected: () throws -> Result
    ) async throws -> Result {
        try await atHome { record in
            let watcher = try watcher(of: socket.descriptor, function)
            try watcher.hold(.write)
            defer { watcher.release(.write) }
            try requireNonBlocking(socket, function)
            var isConnected = try await beginConnecting(socket, to: address, record)
            try watcher.checkNotEnded()
            while !isConnected {
                _ = try await watcher.wait(for: .write, record)
                if let error = socket.pendingError() { throw error }
                // Writable and without an error is connected, unless somebody has shut the socket down, or has taken
                // the error: then no attempt is in progress, and the same event would come again and again.
                if let peer = socket.peerAddress {
                    try checkJoined(peer, address)
                    isConnected = true
                } else {
                    isConnected = try await beginConnecting(socket, to: address, record)
                    try watcher.checkNotEnded()
                }
            }
            return try whenConnected()
        }
    }

    /// An attempt that was under way may have been to another address.
    private final func checkJoined(_ peer: SocketAddress, _ address: SocketAddress) throws(Errno) {
        // A server's wildcard is connected to as the machine's own address.
        if address.family == .unix || peer.port == address.port { return }
        throw .alreadyInProcess
    }
}
