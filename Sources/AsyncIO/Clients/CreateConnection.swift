public import AsyncIOSystem
import Selectors
import SystemPackage

/// None of a host's addresses could be connected to: one reason for each.
public struct ConnectError: Error, Sendable, CustomStringConvertible {
    public var host: String
    public var port: UInt16
    /// In the order in which they were tried.
    public var attempts: [IOError]

    public var description: String {
        if attempts.count == 1 { return attempts[0].description }
        let reasons = attempts.map { "\($0.address?.description ?? "?") (\($0.errno))" }.joined(separator: ", ")
        return "cannot connect to \(host):\(port): \(attempts.isEmpty ? "the host has no address" : "tried \(reasons)")"
    }
}

extension IOError {
    /// Why there is no connection to `address`. One that was reset had been made: the server accepted it, and gave it
    /// up.
    static func connecting(_ error: Errno, to address: SocketAddress) -> IOError {
        let wasMade = error == .connectionReset
        return IOError(
            error, operation: wasMade ? "use the new connection to" : "connect to", address: address)
    }
}

extension EventLoop {
    /// Connects to a TCP server; the connection's data goes to a protocol. asyncio: `create_connection`.
    ///
    /// The addresses of `host` are tried in order. Returns when the protocol has been told of the connection. On the
    /// loop; elsewhere it throws `.wrongThread`, since the factory is called on the loop's thread. Throws a
    /// ``ConnectError``, or what ``resolve(host:port:)`` throws. A cancelled task gets a `CancellationError` and no
    /// connection: what was opened is closed, also when the cancellation comes while the protocol is notified. There is
    /// no time limit but the system's, which is minutes: use ``withTimeout(_:fileID:line:_:)``.
    public final func createConnection<Protocol: StreamProtocol>(
        host: String, port: UInt16, options: ConnectionOptions = ConnectionOptions(),
        fileID: StaticString = #fileID, line: UInt = #line, _ makeProtocol: () throws -> Protocol
    ) async throws -> sending (transport: StreamTransport, protocol: Protocol) {
        guard isOnLoop else { throw EventLoopError.wrongThread("createConnection") }
        let made = try await atHome { _ in
            let (driver, peer) = try await connect(host: host, port: port, options: options)
            return UncheckedSendable(
                value: try await begin(driver, peer: peer, CallSite(fileID: fileID, line: line), makeProtocol))
        }
        nonisolated(unsafe) let value = made.value
        return value
    }

    /// Makes the protocol of a connection and tells it. Owns the driver. At home.
    final func begin<Protocol: StreamProtocol>(
        _ driver: StreamDriver, peer: SocketAddress?, _ origin: CallSite, _ makeProtocol: () throws -> Protocol
    ) async throws -> (transport: StreamTransport, protocol: Protocol) {
        let consumer: Protocol
        do {
            consumer = try makeProtocol()
        } catch {
            driver.close()
            throw error
        }
        let transport = StreamTransport(
            loop: self, driver: driver, consumer: consumer, peerAddress: peer, origin: origin)
        transport.start()
        await yield()
        if Task.isCancelled {
            // The caller gets no transport that it could close.
            transport.close()
            throw CancellationError()
        }
        return (transport, consumer)
    }

    /// The driver of a connected socket, and whom it is connected to. At home.
    final func connect(
        host: String, port: UInt16, options: ConnectionOptions = ConnectionOptions(), by resolver: Resolver = .shared
    ) async throws -> (StreamDriver, SocketAddress) {
        if isClosed { throw EventLoopError.closed }
        try Task.checkCancellation()
        // For a server it means all interfaces; a client would connect to whatever listens on its own machine.
        if host.isEmpty { throw EventLoopError(.invalidArgument, "the name of the host to connect to is empty") }
        var attempts: [IOError] = []
        for address in try await resolve(host: host, port: port, by: resolver) {
            do {
                return (try await connect(to: address, from: options.localAddress), address)
            } catch let error as IOError {
                attempts.append(error)
            } catch let error as Errno {
                attempts.append(.connecting(error, to: address))
            }
        }
        throw ConnectError(host: host, port: port, attempts: attempts)
    }
}

extension EventLoop {
    /// The driver of a socket that was connected to `address`.
    ///
    /// Throws an `Errno`, an `IOError`, `CancellationError`, `.tooManyDescriptors` or `.closed`, with the socket
    /// closed.
    fileprivate final func connect(to address: SocketAddress, from local: SocketAddress?) async throws -> StreamDriver {
        let socket = try Socket.stream(for: address)
        var belongsToDriver = false
        do {
            try checkRoom(for: socket.descriptor)
            if let local { try bind(socket, to: local, for: address) }
            return try await connect(socket, to: address, "createConnection") {
                try Task.checkCancellation()
                try socket.setOption(.noDelay, to: 1)
                belongsToDriver = true
                return try makeStreamDriver(ByteChannel(socket))
            }
        } catch {
            if !belongsToDriver { closeSocket(socket) }
            throw error
        }
    }

    /// A failure names both addresses.
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
