public import AsyncIOSystem
import SystemPackage

extension EventLoop {
    /// Listens for TCP connections; each gets a protocol of its own. asyncio: `create_server`.
    ///
    /// ```swift
    /// let server = try await loop.createServer(host: "127.0.0.1", port: 8888) { Echo() }
    /// ```
    ///
    /// Every address of `host` is listened on; `nil` or `""` means all interfaces, those of IPv4 and of IPv6 by a
    /// socket each. Of a name's addresses, and of all interfaces, those are left out whose family the system does not
    /// have; an address that is written out has to be had. Port 0 lets the system choose one, the same for all
    /// addresses; see ``Server/localAddresses``. On the loop; elsewhere it throws `.wrongThread`, since the factory is
    /// called on the loop's thread. Throws an `IOError` that names the address, `CancellationError` in a cancelled
    /// task, or what ``resolve(host:port:)`` throws; what was opened before the error is closed.
    public final func createServer(
        host: String? = nil, port: UInt16, options: ServerOptions = ServerOptions(),
        fileID: StaticString = #fileID, line: UInt = #line,
        _ makeProtocol: @escaping () throws -> any StreamProtocol
    ) async throws -> sending Server {
        try await createServer(
            listed: [host], port: port, options, CallSite(fileID: fileID, line: line), makeProtocol)
    }

    /// As `createServer` of a host, on every address of several hosts, each address once. Throws `.invalidArgument` for
    /// none.
    public final func createServer(
        hosts: [String], port: UInt16, options: ServerOptions = ServerOptions(),
        fileID: StaticString = #fileID, line: UInt = #line,
        _ makeProtocol: @escaping () throws -> any StreamProtocol
    ) async throws -> sending Server {
        try await createServer(
            listed: hosts, port: port, options, CallSite(fileID: fileID, line: line), makeProtocol)
    }

    private final func createServer(
        listed hosts: [String?], port: UInt16, _ options: ServerOptions, _ origin: CallSite,
        _ makeProtocol: @escaping () throws -> any StreamProtocol
    ) async throws -> sending Server {
        guard isOnLoop else { throw EventLoopError.wrongThread("createServer") }
        nonisolated(unsafe) let server = try await listen(
            hosts: hosts, port: port, options: options, origin: origin, Self.serve(makeProtocol))
        return server
    }

    /// Serves on sockets that were bound elsewhere, such as those of a service manager. asyncio:
    /// `create_server(sock=)`.
    ///
    /// They may listen already. They belong to this call, which makes them non-blocking: the server closes them, and so
    /// does an error; do not close them. Only `.descriptorInUse`, for one that this loop uses already, leaves that one
    /// alone. Throws `.invalidArgument` unless they are stream sockets, each given once, and as `createServer` of a
    /// host.
    public final func createServer(
        sockets: [Socket], options: ServerOptions = ServerOptions(),
        fileID: StaticString = #fileID, line: UInt = #line,
        _ makeProtocol: @escaping () throws -> any StreamProtocol
    ) async throws -> sending Server {
        guard isOnLoop else {
            for socket in Set(sockets) { socket.close() }
            throw EventLoopError.wrongThread("createServer")
        }
        nonisolated(unsafe) let server = try listen(
            sockets: sockets, options: options, origin: CallSite(fileID: fileID, line: line), Self.serve(makeProtocol))
        return server
    }

    /// As `createServer` of several sockets.
    public final func createServer(
        socket: Socket, options: ServerOptions = ServerOptions(),
        fileID: StaticString = #fileID, line: UInt = #line,
        _ makeProtocol: @escaping () throws -> any StreamProtocol
    ) async throws -> sending Server {
        try await createServer(sockets: [socket], options: options, fileID: fileID, line: line, makeProtocol)
    }

    private static func serve(_ makeProtocol: @escaping () throws -> any StreamProtocol) -> Accepted {
        { loop, server, driver, peer in
            let transport = StreamTransport(
                loop: loop, driver: driver, consumer: try makeProtocol(), peerAddress: peer,
                acceptedBy: server.connectionOrigin)
            transport.start()
        }
    }
}
