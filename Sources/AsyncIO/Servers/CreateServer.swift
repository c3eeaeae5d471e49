import AsyncIOSystem

extension EventLoop {
    /// Listens on an endpoint. Each accepted connection gets its own protocol. asyncio: `create_server`.
    ///
    /// ```swift
    /// let server = try await loop.createServer(on: .allInterfaces(port: 8888)) { Echo() }
    /// ```
    ///
    /// The server listens on every address of the endpoint, except those whose family the system does not have and that
    /// are not written out. With port 0 the system chooses one port for all; see ``Server/localAddresses``. Given
    /// sockets belong to this call from the start; see ``Endpoint/sockets(_:)``.
    ///
    /// Throws an `IOError` that names the address, `.invalidArgument` for an endpoint that no server can listen on,
    /// `.descriptorInUse`, `CancellationError` in a cancelled task, and what ``resolve(host:port:)`` throws.
    /// - Thread: the loop's; elsewhere it throws `.wrongThread`, because `makeProtocol` is called on the loop's thread.
    public final func createServer(
        on endpoint: Endpoint, options: ServerOptions = ServerOptions(),
        fileID: StaticString = #fileID, line: UInt = #line,
        _ makeProtocol: @escaping () throws -> any StreamProtocol
    ) async throws -> sending Server {
        try checkOnLoop("createServer", owning: endpoint)
        nonisolated(unsafe) let server = try await withAffinity(owning: endpoint, "createServer") {
            try await listen(on: endpoint, options: options, origin: CallSite(fileID: fileID, line: line)) {
                loop, server, driver, peer in
                let transport = StreamTransport(
                    loop: loop, driver: driver, consumer: try makeProtocol(), peerAddress: peer,
                    origin: server.connectionOrigin)
                transport.start()
            }
        }
        return server
    }

    /// As ``createServer(on:options:fileID:line:_:)``, on a host, or on all interfaces if `host` is `nil` or empty.
    public final func createServer(
        host: String? = nil, port: UInt16, options: ServerOptions = ServerOptions(),
        fileID: StaticString = #fileID, line: UInt = #line,
        _ makeProtocol: @escaping () throws -> any StreamProtocol
    ) async throws -> sending Server {
        try await createServer(
            on: .host(host ?? "", port: port), options: options, fileID: fileID, line: line, makeProtocol)
    }
}
