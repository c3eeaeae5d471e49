public import AsyncIOSystem
import Selectors
import SystemPackage

/// The error of a client that could not connect to any address of an endpoint, with the reason for each address.
public struct ConnectError: Error, Sendable, CustomStringConvertible {
    public var endpoint: Endpoint
    public var attempts: [IOError]

    public var description: String {
        if attempts.count == 1 { return attempts[0].description }
        let reasons = attempts.map { "\($0.address?.description ?? "?") (\($0.errno))" }.joined(separator: ", ")
        return "cannot connect to \(endpoint): \(attempts.isEmpty ? "the host has no address" : "tried \(reasons)")"
    }
}

extension IOError {
    /// The reason why there is no connection to `address`. One that was reset had been established by the server.
    static func connecting(_ error: Errno, to address: SocketAddress) -> IOError {
        IOError(
            error, operation: error == .connectionReset ? "use the new connection to" : "connect to", address: address)
    }
}

extension EventLoop {
    /// Connects a protocol to an endpoint. asyncio: `create_connection`, `connect_accepted_socket`.
    ///
    /// The function returns after `connectionMade` of the protocol. An endpoint with several addresses is tried as RFC
    /// 8305 says ("happy eyeballs"): the addresses of a name alternate between IPv6 and IPv4, and the next one is tried
    /// as soon as the one before has failed or ``ConnectionOptions/attemptDelay`` has passed. The first connection
    /// wins; the other attempts are cancelled, and their sockets closed, before the function returns or throws. The
    /// only time limit is the system's, which is minutes; use ``withTimeout(_:fileID:line:_:)`` to set one. A connected
    /// socket, which another listener may have accepted, belongs to this call from the start; see
    /// ``Endpoint/socket(_:)``.
    ///
    /// Throws a ``ConnectError`` with the error of every attempt if no address accepts the connection,
    /// `.invalidArgument` for an endpoint that no client can connect to, such as all interfaces or several sockets, and
    /// what ``resolve(host:port:)`` and `makeProtocol` throw. For a given socket it throws `.invalidArgument` unless it
    /// is a stream socket, an `IOError` unless it is connected, and `.descriptorInUse`. A cancelled task gets a
    /// `CancellationError` and no connection, even if it is cancelled while `connectionMade` runs.
    /// - Thread: the loop's; elsewhere it throws `.wrongThread`, because it calls `makeProtocol` on the loop's thread.
    public final func createConnection<Protocol: StreamProtocol>(
        to endpoint: Endpoint, options: ConnectionOptions = ConnectionOptions(),
        fileID: StaticString = #fileID, line: UInt = #line, _ makeProtocol: () throws -> Protocol
    ) async throws -> sending (transport: StreamTransport, protocol: Protocol) {
        try checkOnLoop("createConnection", owning: endpoint)
        let made = try await withAffinity(owning: endpoint, "createConnection") {
            let (driver, peer) = try await connect(to: endpoint, options: options)
            return try await attach(
                driver, peer, origin: CallSite(fileID: fileID, line: line), makeProtocol)
        }
        nonisolated(unsafe) let value = made.value
        return value
    }

    /// Connects a new protocol to a driver, which it owns, and returns after `connectionMade`. The task is on its loop.
    final func attach<Protocol: StreamProtocol>(
        _ driver: StreamDriver, _ peer: SocketAddress?, for directions: Interest = [.read, .write], origin: CallSite,
        _ makeProtocol: () throws -> Protocol
    ) async throws -> UncheckedSendable<(transport: StreamTransport, protocol: Protocol)> {
        let consumer: Protocol
        do {
            consumer = try makeProtocol()
        } catch {
            driver.close()
            throw error
        }
        let transport = StreamTransport(
            loop: self, driver: driver, consumer: consumer, peerAddress: peer, directions: directions,
            origin: ConnectionOrigin(origin))
        transport.start()
        await yield()
        if Task.isCancelled {
            // The caller gets no transport that it could close.
            transport.close()
            throw CancellationError()
        }
        return UncheckedSendable(value: (transport, consumer))
    }

    /// As ``createConnection(to:options:fileID:line:_:)``, to a host.
    public final func createConnection<Protocol: StreamProtocol>(
        host: String, port: UInt16, options: ConnectionOptions = ConnectionOptions(),
        fileID: StaticString = #fileID, line: UInt = #line, _ makeProtocol: () throws -> Protocol
    ) async throws -> sending (transport: StreamTransport, protocol: Protocol) {
        try await createConnection(
            to: .host(host, port: port), options: options, fileID: fileID, line: line, makeProtocol)
    }

    /// Returns the driver of a new connection and the address of its peer, which is `nil` for a given socket. Owns the
    /// sockets of the endpoint. The task is on its loop.
    final func connect(
        to endpoint: Endpoint, options: ConnectionOptions = ConnectionOptions(), by resolver: (any Resolver)? = nil
    ) async throws -> (StreamDriver, SocketAddress?) {
        let (driver, peer) = try await connectWithoutFilter(to: endpoint, options, by: resolver)
        return (try await establish(options.makeFilter, over: driver), peer)
    }

    private final func connectWithoutFilter(
        to endpoint: Endpoint, _ options: ConnectionOptions, by resolver: (any Resolver)?
    ) async throws -> (StreamDriver, SocketAddress?) {
        let sockets = try takeSockets(of: endpoint) {
            try endpoint.checkForClient()
            if let local = options.localAddress, !endpoint.sockets.isEmpty || endpoint.isStandardStreams {
                throw EventLoopError(
                    .invalidArgument, "the local address \(local) cannot be given to \(endpoint), which has one")
            }
        }
        if endpoint.isStandardStreams { return (try openStandardStreams(), nil) }
        if let socket = sockets.first { return (try adopt(socket, options.socketOptions), nil) }
        try Task.checkCancellation()
        let delay = options.attemptDelay
        if let delay, let name = endpoint.singleName, !((resolver ?? self.resolver) is SystemResolver) {
            return try await withAffinity { record in
                let attempts = ConnectionAttempts(on: self, attemptDelay: delay, options)
                attempts.lookUp(name, by: resolver)
                return try await attempts.connect(endpoint, record)
            }
        }
        let addresses = try await addresses(of: endpoint, by: resolver, interleaves: delay != nil)
        guard let delay, addresses.count > 1 else { return try await connectInOrder(addresses, of: endpoint, options) }
        return try await withAffinity { record in
            let attempts = ConnectionAttempts(on: self, attemptDelay: delay, options)
            attempts.found(addresses, interleaves: false)
            attempts.resolved()
            return try await attempts.connect(endpoint, record)
        }
    }

    private final func connectInOrder(
        _ addresses: [SocketAddress], of endpoint: Endpoint, _ options: ConnectionOptions
    ) async throws -> (StreamDriver, SocketAddress?) {
        var errors: [IOError] = []
        for address in addresses {
            do {
                return (try await connect(to: address, options), address)
            } catch let error as IOError {
                errors.append(error)
            } catch let error as Errno {
                errors.append(.connecting(error, to: address))
            }
        }
        throw ConnectError(endpoint: endpoint, attempts: errors)
    }

    /// Owns the socket.
    private final func adopt(_ socket: Socket, _ options: [SocketOption: Int]) throws -> StreamDriver {
        do {
            guard socket.hasPeer else { throw IOError(.socketNotConnected, operation: "take over a socket") }
            for (option, value) in options.applicable(to: socket.family) {
                do {
                    try socket.setOption(option, to: value)
                } catch {
                    // Not a TCP socket, or its peer has disconnected, which the first receive reports.
                    if option == .noDelay { continue }
                    throw IOError(error, operation: "set \(option) of socket \(socket.number)")
                }
            }
        } catch {
            closeSocket(socket)
            throw error
        }
        return try IOError.naming("take over a socket") {
            try openStreamDriver(ByteChannel(socket, .socket(socket.family)))
        }
    }

    /// Throws an `Errno`, an `IOError`, `CancellationError`, `.tooManyDescriptors` or `.closed`, with the socket
    /// closed.
    final func connect(to address: SocketAddress, _ options: ConnectionOptions) async throws -> StreamDriver {
        let socket = try Socket.stream(for: address)
        var belongsToDriver = false
        do {
            try checkRoom(for: socket.descriptor)
            if let local = options.localAddress { try bind(socket, to: local, for: address) }
            // Set before it connects, because buffer sizes take effect from the first packet on.
            for (option, value) in options.socketOptions.applicable(to: address.family) {
                try IOError.naming("set \(option) of a connection to", address) {
                    try socket.setOption(option, to: value)
                }
            }
            return try await connect(socket, to: address, "createConnection") {
                try Task.checkCancellation()
                belongsToDriver = true
                return try openStreamDriver(ByteChannel(socket, .socket(address.family)))
            }
        } catch {
            if !belongsToDriver { closeSocket(socket) }
            throw error
        }
    }

    private final func bind(_ socket: Socket, to local: SocketAddress, for address: SocketAddress) throws(IOError) {
        var reason = Errno.addressFamilyNotSupported
        if local.family == address.family {
            do {
                return try socket.bind(to: local)
            } catch {
                reason = error
            }
        }
        throw IOError(reason, operation: "connect from \(local) to", address: address)
    }
}
