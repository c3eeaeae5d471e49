import AsyncIOSystem
import SystemPackage

/// A socket to listen on, and the file that was created for it.
struct BoundSocket {
    let socket: Socket
    var file: SocketFile?

    func close(on loop: EventLoop) {
        file?.remove()
        loop.closeSocket(socket)
    }
}

extension EventLoop {
    typealias Accepted = (EventLoop, Server, StreamDriver, SocketAddress?) throws -> Void

    /// The number of attempts if the system chooses the port, which may be in use on another address.
    private static var mostPorts: Int { 16 }

    /// Listens on an endpoint, whose sockets it owns. The task is on its loop.
    final func listen(
        on endpoint: Endpoint, options: ServerOptions, origin: CallSite, by resolver: (any Resolver)? = nil,
        _ accepted: @escaping Accepted
    ) async throws -> Server {
        let sockets = try takeSockets(of: endpoint) {
            try endpoint.checkForServer()
            try options.check(for: endpoint)
        }
        if !sockets.isEmpty {
            return try serve(on: sockets.map { BoundSocket(socket: $0) }, options, origin, accepted)
        }
        let addresses = try await addresses(of: endpoint, by: resolver)
        // The caller would not get the server, and could not close it.
        try Task.checkCancellation()
        let required = endpoint.literalAddresses
        var portsLeft = addresses.count > 1 && addresses.contains { $0.port == 0 } ? Self.mostPorts : 1
        while true {
            portsLeft -= 1
            do {
                return try serve(on: try bind(to: addresses, required: required, options), options, origin, accepted)
            } catch let error as IOError where error.errno == .addressInUse && portsLeft > 0 {
                // The port of the first address is in use on the next one.
            }
        }
    }

    /// Creates the server of bound sockets, and closes them if it throws.
    private final func serve(
        on sockets: [BoundSocket], _ options: ServerOptions, _ origin: CallSite, _ accepted: @escaping Accepted
    ) throws -> Server {
        let server = Server(loop: self, origin: origin)
        if let limit = options.maxConnections { server.limitConnections(to: limit) }
        var remaining = sockets[...]
        do {
            while let socket = remaining.first {
                let listener = try makeListener(socket, options, server.connectionOrigin) {
                    [unowned self] driver, peer in try accepted(self, server, driver, peer)
                }
                remaining.removeFirst()
                server.add(listener)
            }
            if options.startsServing { try server.startServing() }
        } catch {
            for socket in remaining { socket.close(on: self) }
            server.close()
            throw error
        }
        return server
    }

    private final func makeListener(
        _ socket: BoundSocket, _ options: ServerOptions, _ origin: ConnectionOrigin,
        _ accepted: @escaping (StreamDriver, SocketAddress?) throws -> Void
    ) throws -> Listener {
        do {
            return try Listener(
                loop: self, socket: socket, options: options, connectionOrigin: origin, accepted: accepted)
        } catch {
            throw IOError(error, operation: "determine the address of listening socket \(socket.socket.number)")
        }
    }

    /// Returns a socket for each address, except those whose family the system does not have.
    private final func bind(
        to addresses: [SocketAddress], required: [SocketAddress], _ options: ServerOptions
    ) throws -> [BoundSocket] {
        var sockets: [BoundSocket] = []
        var chosenPort: UInt16?
        var lastSkipped: IOError?
        do {
            for address in addresses {
                do {
                    // The port that the system chose for the first address is used for the others too.
                    let socket = try bind(to: address.port == 0 ? address.withPort(chosenPort ?? 0) : address, options)
                    sockets.append(socket)
                    if address.port == 0, chosenPort == nil { chosenPort = try port(of: socket.socket, address) }
                } catch let error as IOError
                    where Self.mayBeMissing(address, error.errno) && !required.contains(address)
                {
                    lastSkipped = error
                }
            }
            if sockets.isEmpty, let lastSkipped { throw lastSkipped }
        } catch {
            for socket in sockets { socket.close(on: self) }
            throw error
        }
        return sockets
    }

    /// Returns the port that the system has chosen.
    private final func port(of socket: Socket, _ address: SocketAddress) throws -> UInt16? {
        try IOError.naming("listen on", address) { try core.localAddress(socket)?.port }
    }

    /// Whether the family is missing, or IPv6 is compiled in but disabled. Then the other addresses suffice.
    private static func mayBeMissing(_ address: SocketAddress, _ error: Errno) -> Bool {
        error == .addressFamilyNotSupported || (address.family == .ipv6 && error == .addressNotAvailable)
    }

    private final func bind(to address: SocketAddress, _ options: ServerOptions) throws -> BoundSocket {
        try IOError.naming("listen on", address) {
            let socket = try Socket.stream(for: address)
            do {
                try checkRoom(for: socket.descriptor)
                if options.reuseAddress { try socket.setOption(.reuseAddress, to: 1) }
                if options.reusePort { try setReusePort(socket) }
                // The IPv4 wildcard has its own socket.
                if address.family == .ipv6 { try socket.setOption(.ipv6Only, to: 1) }
                let file = try SocketFile.bind(socket, to: address, "listen on")
                if let permissions = options.unixPermissions {
                    // Nobody can connect before the socket listens.
                    try setPermissions(permissions, of: file)
                }
                return BoundSocket(socket: socket, file: options.removesSocketFile ? file : nil)
            } catch {
                closeSocket(socket)
                throw error
            }
        }
    }

    private final func setPermissions(_ permissions: FilePermissions, of file: SocketFile?) throws(Errno) {
        guard let file else { throw .noSuchFileOrDirectory }
        do {
            try file.setPermissions(permissions)
        } catch {
            file.remove()
            throw error
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
