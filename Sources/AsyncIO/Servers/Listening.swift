import AsyncIOSystem
import SystemPackage

/// Opens the sockets of servers.
extension EventLoop {
    /// Takes the drivers of a server's connections.
    typealias Accepted = (EventLoop, Server, StreamDriver, SocketAddress?) throws -> Void

    /// Ports that are tried when the system chooses one: another address may have it in use.
    private static var mostPorts: Int { 16 }

    /// Listens on every address of the hosts, each once; `nil` is all interfaces.
    final func listen(
        hosts: [String?], port: UInt16, options: ServerOptions, origin: CallSite, by resolver: Resolver = .shared,
        _ accepted: @escaping Accepted
    ) async throws -> Server {
        if isClosed { throw EventLoopError.closed }
        if hosts.isEmpty { throw EventLoopError(.invalidArgument, "the list of hosts to listen on is empty") }
        return try await atHome { _ in
            // What the caller has written out is meant; of a name's addresses those that the system has.
            let required = hosts.compactMap { host in host.flatMap { SocketAddress(literal: $0, port: port) } }
            var addresses: [SocketAddress] = []
            for host in hosts {
                for address in try await resolve(host: host, port: port, by: resolver)
                where !addresses.contains(address) {
                    addresses.append(address)
                }
            }
            // The caller would not get the server that it has to close.
            try Task.checkCancellation()
            for _ in 1..<Self.mostPorts where port == 0 && addresses.count > 1 {
                do {
                    return try serve(on: addresses, required: required, options, origin, accepted)
                } catch let error as IOError where error.errno == .addressInUse {
                    // The port that the first address got is another program's on the next one.
                }
            }
            return try serve(on: addresses, required: required, options, origin, accepted)
        }
    }

    /// Serves on sockets that were made elsewhere, and closes them if it throws.
    final func listen(
        sockets: [Socket], options: ServerOptions, origin: CallSite, _ accepted: @escaping Accepted
    ) throws -> Server {
        // Each once: it has one owner, who closes it.
        let distinct = Set(sockets)
        var remaining = distinct.count == sockets.count ? sockets[...] : Array(distinct)[...]
        var server: Server?
        do {
            if isClosed { throw EventLoopError.closed }
            if sockets.isEmpty { throw EventLoopError(.invalidArgument, "the list of sockets to listen on is empty") }
            if distinct.count != sockets.count {
                throw EventLoopError(.invalidArgument, "the list of sockets to listen on contains a socket twice")
            }
            let made = Server(loop: self, origin: origin)
            server = made
            while let socket = remaining.popFirst() {
                try take(socket)
                add(socket, to: made, options, accepted)
            }
            if options.startsServing { try made.startServing() }
            return made
        } catch {
            for socket in remaining { closeSocket(socket) }
            server?.close()
            throw error
        }
    }
}

extension EventLoop {
    fileprivate final func serve(
        on addresses: [SocketAddress], required: [SocketAddress], _ options: ServerOptions, _ origin: CallSite,
        _ accepted: @escaping Accepted
    ) throws -> Server {
        let server = Server(loop: self, origin: origin)
        do {
            var port: UInt16?
            var lastSkipped: IOError?
            for address in addresses {
                // What the system chose for the first address holds for the others.
                let place = address.port == 0 ? address.withPort(port ?? 0) : address
                let socket: Socket
                do {
                    socket = try bind(to: place, options)
                } catch let error as IOError
                    where Self.mayBeMissing(address, error.errno) && !required.contains(address)
                {
                    lastSkipped = error
                    continue
                }
                port = port ?? socket.localAddress?.port
                add(socket, to: server, options, accepted)
            }
            if server.listeners.isEmpty, let lastSkipped { throw lastSkipped }
            if options.startsServing { try server.startServing() }
        } catch {
            server.close()
            throw error
        }
        return server
    }

    /// The system may lack an address family, or IPv6 is compiled in but switched off: the other addresses will do.
    private static func mayBeMissing(_ address: SocketAddress, _ error: Errno) -> Bool {
        error == .addressFamilyNotSupported || (address.family == .ipv6 && error == .addressNotAvailable)
    }

    fileprivate final func add(
        _ socket: Socket, to server: Server, _ options: ServerOptions, _ accepted: @escaping Accepted
    ) {
        let listener = Listener(loop: self, socket: socket, options: options, origin: server.origin) {
            [unowned self] driver, peer in try accepted(self, server, driver, peer)
        }
        server.add(listener)
    }

    private final func bind(to address: SocketAddress, _ options: ServerOptions) throws -> Socket {
        let socket: Socket
        do {
            socket = try Socket.stream(for: address)
        } catch {
            throw IOError(error, operation: "listen on", address: address)
        }
        do {
            try checkRoom(for: socket.descriptor)
            if options.reuseAddress { try socket.setOption(.reuseAddress, to: 1) }
            if options.reusePort { try setReusePort(socket) }
            // The IPv4 wildcard has a socket of its own.
            if address.family == .ipv6 { try socket.setOption(.ipv6Only, to: 1) }
            try socket.bind(to: address)
            return socket
        } catch {
            closeSocket(socket)
            guard let error = error as? Errno else { throw error }
            throw IOError(error, operation: "listen on", address: address)
        }
    }

    final func setReusePort(_ socket: Socket) throws {
        do {
            try socket.setOption(.reusePort, to: 1)
        } catch {
            throw EventLoopError.unsupported(feature: "reusePort", platform: "this system (\(error))")
        }
    }
}
