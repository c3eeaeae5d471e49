import AsyncIOSystem
import SystemPackage

extension EventLoop {
    /// Creates an endpoint for datagrams, with a protocol. asyncio: `create_datagram_endpoint`.
    ///
    /// ```swift
    /// let (transport, _) = try await loop.createDatagramEndpoint(local: .host("127.0.0.1", port: 9999)) { Echo() }
    /// ```
    ///
    /// `local` is the address that the socket is bound to, or an existing datagram socket, which belongs to this call
    /// from the start, see ``Endpoint/socket(_:)``. The file of a unix socket that nobody uses any more is replaced,
    /// and the endpoint removes its file when it is closed. With a `remote` endpoint the socket is connected: it
    /// exchanges datagrams with that address only, and learns when nobody receives there. The endpoint has one socket:
    /// the addresses of both are tried in order, in pairs of one family, until one works. Without both, the options
    /// name the family. The function returns after `connectionMade` of the protocol.
    ///
    /// Throws an `IOError` that names the address; `.invalidArgument` for endpoints, a socket or options that do not
    /// fit each other; `.descriptorInUse`; what ``resolve(host:port:)`` and `makeProtocol` throw; and
    /// `CancellationError` in a cancelled task.
    /// - Thread: the loop's; elsewhere it throws `.wrongThread`, because it calls `makeProtocol` on the loop's thread.
    public final func createDatagramEndpoint<Protocol: DatagramProtocol>(
        local: Endpoint? = nil, remote: Endpoint? = nil, options: DatagramOptions = DatagramOptions(),
        fileID: StaticString = #fileID, line: UInt = #line, _ makeProtocol: () throws -> Protocol
    ) async throws -> sending (transport: DatagramTransport, protocol: Protocol) {
        let given = Endpoint.sockets((local?.sockets ?? []) + (remote?.sockets ?? []))
        try checkOnLoop("createDatagramEndpoint", owning: given)
        let made = try await withAffinity(owning: given, "createDatagramEndpoint") {
            let opened = try await openDatagramSocket(local, remote, options)
            let consumer: Protocol
            do {
                consumer = try makeProtocol()
            } catch {
                opened.file?.remove()
                closeSocket(opened.socket)
                throw error
            }
            let transport = try makeTransport(opened, consumer, CallSite(fileID: fileID, line: line))
            await yield()
            if Task.isCancelled {
                // The caller gets no transport that it could close.
                transport.close()
                throw CancellationError()
            }
            return UncheckedSendable(value: (transport, consumer))
        }
        nonisolated(unsafe) let value = made.value
        return value
    }

    struct OpenedDatagramSocket {
        var socket: Socket
        var isConnected = false
        /// The address that datagrams are sent to.
        var peerAddress: SocketAddress?
        /// The file of a unix socket, to remove when it is closed.
        var file: SocketFile?
    }

    /// Creates the transport of a socket, which it owns, and notifies its protocol in the next iteration.
    final func makeTransport(
        _ opened: OpenedDatagramSocket, _ consumer: any DatagramProtocol, _ origin: CallSite
    ) throws -> DatagramTransport {
        let localAddress: SocketAddress?
        do {
            // An endpoint that does not know its address would be one of no family, and on port 0 nobody would find it.
            localAddress = try core.localAddress(opened.socket)
        } catch {
            opened.file?.remove()
            closeSocket(opened.socket)
            throw IOError(error, operation: "get the local address of a datagram socket")
        }
        let driver: DatagramDriver
        do {
            driver = try makeDatagramDriver(
                opened.socket, family: localAddress?.family, isConnected: opened.isConnected)
        } catch {
            opened.file?.remove()
            throw IOError(error, operation: "watch a datagram socket")
        }
        let transport = DatagramTransport(
            loop: self, driver: driver, consumer: consumer, isConnected: opened.isConnected,
            localAddress: localAddress, peerAddress: opened.peerAddress, origin: origin)
        transport.socketFile = opened.file
        transport.start()
        return transport
    }

    /// Returns a bound or connected socket. Owns the sockets of the endpoints. The task is on its loop.
    final func openDatagramSocket(
        _ local: Endpoint?, _ remote: Endpoint?, _ options: DatagramOptions
    ) async throws -> OpenedDatagramSocket {
        let given = Endpoint.sockets((local?.sockets ?? []) + (remote?.sockets ?? []))
        let sockets = try takeSockets(of: given, .datagram) {
            try local?.checkForServer()
            try remote?.checkForClient()
            try checkDatagram(options, local, remote)
        }
        if let socket = sockets.first { return try takeOver(socket, options) }
        var failures: [IOError] = []
        for (local, remote) in try await addressPairs(local, remote, options) {
            do {
                return try openDatagramSocket(bound: local, connected: remote, options)
            } catch let error as IOError {
                failures.append(error)
            }
        }
        throw failures[0]
    }

    private final func checkDatagram(_ options: DatagramOptions, _ local: Endpoint?, _ remote: Endpoint?) throws {
        func refuse(_ reason: String) -> EventLoopError { EventLoopError(.invalidArgument, reason) }
        if options.socketOptions[.reuseAddress] ?? 0 != 0 {
            throw refuse(
                "SO_REUSEADDR would let other programs take over the port of a datagram endpoint; use reusePort")
        }
        if let remote, !remote.sockets.isEmpty { throw refuse("\(remote) cannot be a remote endpoint of datagrams") }
        guard let local else {
            if remote == nil, options.family == nil {
                throw refuse("a datagram endpoint needs a local endpoint, a remote endpoint or a family")
            }
            return
        }
        if local.sockets.isEmpty { return }
        if local.sockets.count > 1 { throw refuse("a datagram endpoint has one socket, not \(local)") }
        if let remote { throw refuse("\(local) cannot be connected to \(remote); connect it before") }
        if options.reusePort { throw refuse("\(local) exists already, so it cannot get the option reusePort") }
        if let family = options.family, family != local.sockets[0].family {
            throw refuse("\(local) is not of the family \(family)")
        }
    }

    private final func takeOver(_ socket: Socket, _ options: DatagramOptions) throws -> OpenedDatagramSocket {
        do {
            try setOptions(options, of: socket, "socket \(socket.number)", nil)
        } catch {
            closeSocket(socket)
            throw error
        }
        return OpenedDatagramSocket(
            socket: socket, isConnected: socket.hasPeer, peerAddress: socket.peerAddress?.nilIfUnnamed)
    }

    /// Returns the addresses to bind and to connect to, in the order of the endpoints.
    private final func addressPairs(
        _ local: Endpoint?, _ remote: Endpoint?, _ options: DatagramOptions
    ) async throws -> [(local: SocketAddress?, remote: SocketAddress?)] {
        var locals: [SocketAddress?] = [nil]
        var remotes: [SocketAddress?] = [nil]
        if let local { locals = try await addresses(of: local, by: nil) }
        if let remote { remotes = try await addresses(of: remote, by: nil) }
        // The caller would not get the endpoint, and could not close it.
        try Task.checkCancellation()
        let pairs = locals.flatMap { local in remotes.map { (local: local, remote: $0) } }
            .filter { pair in
                Set([pair.local?.family, pair.remote?.family, options.family].compactMap(\.self)).count == 1
            }
        if pairs.isEmpty {
            let ends = [local.map { "local \($0)" }, remote.map { "remote \($0)" }].compactMap(\.self)
            let family = options.family.map { " and the family \($0)" } ?? ""
            throw EventLoopError(
                .invalidArgument,
                "a datagram endpoint with \(ends.joined(separator: " and "))\(family) has no address family in common")
        }
        return pairs
    }

    private final func openDatagramSocket(
        bound local: SocketAddress?, connected remote: SocketAddress?, _ options: DatagramOptions
    ) throws -> OpenedDatagramSocket {
        // One of them is given.
        let family = (local?.family ?? remote?.family ?? options.family).unsafelyUnwrapped
        let (operation, address) = local == nil ? ("send datagrams to", remote) : ("receive datagrams on", local)
        let socket = try IOError.naming(operation, address) { try Socket.datagram(family) }
        var file: SocketFile?
        do {
            try checkRoom(for: socket.descriptor)
            try setOptions(options, of: socket, operation, address)
            if let local {
                file = try IOError.naming("receive datagrams on", local) {
                    try SocketFile.bind(socket, to: local, "receive datagrams on")
                }
            }
            guard let remote else { return OpenedDatagramSocket(socket: socket, file: file) }
            let isConnected = !options.allowsBroadcast
            if isConnected {
                // No connect of datagrams is ever in progress. One that was interrupted may have set no peer, and
                // without it every datagram would be lost.
                try IOError.naming("send datagrams to", remote) {
                    while try !socket.connect(to: remote), !socket.hasPeer {}
                }
            }
            return OpenedDatagramSocket(socket: socket, isConnected: isConnected, peerAddress: remote, file: file)
        } catch {
            file?.remove()
            closeSocket(socket)
            throw error
        }
    }

    private final func setOptions(
        _ options: DatagramOptions, of socket: Socket, _ operation: String, _ address: SocketAddress?
    ) throws {
        if options.reusePort { try setReusePort(socket) }
        try IOError.naming(operation, address) {
            if options.allowsBroadcast { try socket.setOption(.broadcast, to: 1) }
            for (option, value) in options.socketOptions { try socket.setOption(option, to: value) }
        }
    }
}
