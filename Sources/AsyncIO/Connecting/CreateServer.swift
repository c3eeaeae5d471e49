import AsyncIOSystem
import SystemPackage

extension EventLoop {
    /// Listens for TCP connections; each gets a protocol of its own. asyncio: `create_server`.
    ///
    /// ```swift
    /// let server = try await loop.createServer(host: "127.0.0.1", port: 8888) { Echo() }
    /// ```
    ///
    /// Every address of `host` is listened on; `nil` or `""` means all interfaces. Port 0 lets the system choose, see
    /// ``Server/localAddresses``. On the loop; elsewhere it throws `.wrongThread`, since the factory is called on the
    /// loop's thread. Throws an `IOError` that names the address, or what ``resolve(host:port:)`` throws; what was
    /// opened before the error is closed.
    public final func createServer(
        host: String? = nil, port: UInt16, options: ServerOptions = ServerOptions(),
        _ makeProtocol: @escaping () throws -> any StreamProtocol
    ) async throws -> Server {
        guard isOnLoop else { throw EventLoopError.wrongThread("createServer") }
        return try await listen(host: host, port: port, options: options) { loop, server, driver, peer in
            let transport = StreamTransport(
                loop: loop, driver: driver, consumer: try makeProtocol(), peerAddress: peer, server: server)
            transport.start()
        }
    }

    /// Listens on every address; `accepted` takes the drivers of the connections.
    final func listen(
        host: String?, port: UInt16, options: ServerOptions,
        _ accepted: @escaping (EventLoop, Server, StreamDriver, SocketAddress?) throws -> Void
    ) async throws -> Server {
        if isClosed { throw EventLoopError.closed }
        guard let loop = self as? SelectorEventLoop else {
            throw EventLoopError.unsupported(feature: "createServer", platform: "the \(backendName) loop")
        }
        return try await atHome { _ in
            let addresses = try await resolve(host: host, port: port)
            let server = Server(loop: self)
            do {
                for address in addresses {
                    let listener = try loop.makeListener(on: address, isOneOfMany: addresses.count > 1, options) {
                        driver, peer in
                        try accepted(loop, server, driver, peer)
                    }
                    if let listener { server.add(listener) }
                }
            } catch {
                server.close()
                throw error
            }
            return server
        }
    }
}

extension SelectorEventLoop {
    /// `nil` for an address family that the system lacks, if there are other addresses.
    fileprivate final func makeListener(
        on address: SocketAddress, isOneOfMany: Bool, _ options: ServerOptions,
        _ accepted: @escaping (StreamDriver, SocketAddress?) throws -> Void
    ) throws -> Listener? {
        let socket: Socket
        do {
            socket = try Socket.stream(for: address)
        } catch {
            if isOneOfMany, error == .addressFamilyNotSupported { return nil }
            throw IOError(error, operation: "listen on", address: address)
        }
        do {
            if options.reuseAddress { try socket.setOption(.reuseAddress, to: 1) }
            if options.reusePort { try socket.setOption(.reusePort, to: 1) }
            // The IPv4 wildcard has a socket of its own.
            if address.family == .ipv6 { try socket.setOption(.ipv6Only, to: 1) }
            try socket.bind(to: address)
            try socket.listen(backlog: options.backlog)
            let listener = Listener(loop: self, socket: socket, options: options, accepted: accepted)
            try listener.start()
            return listener
        } catch {
            socket.close()
            // IPv6 is compiled in but switched off.
            if isOneOfMany, address.family == .ipv6, error == .addressNotAvailable { return nil }
            throw IOError(error, operation: "listen on", address: address)
        }
    }
}
