import AsyncIOSystem
import CAsyncIO
import SystemPackage

/// Sockets that other code has created.
extension EventLoop {
    /// Calls `body` on the loop. `body` owns the sockets of the endpoint; if it cannot be called, they are closed.
    final nonisolated(nonsending) func withAffinity<Result>(
        owning endpoint: Endpoint, _ function: StaticString,
        _ body: nonisolated(nonsending) () async throws -> Result
    ) async throws -> Result {
        var isOwned = false
        do {
            return try await withAffinity(function) { _ in
                isOwned = true
                return try await body()
            }
        } catch {
            if !isOwned { discard(endpoint.sockets) }
            throw error
        }
    }

    /// Throws `.wrongThread` on another thread than the loop's, and closes the sockets of the endpoint then.
    final func checkOnLoop(_ function: StaticString, owning endpoint: Endpoint) throws(EventLoopError) {
        if isOnLoop { return }
        discard(endpoint.sockets)
        throw .wrongThread(function)
    }

    /// Closes sockets that a call has failed to take over, except those that this loop uses.
    final func discard(_ sockets: some Sequence<Socket>) {
        for socket in Set(sockets) {
            if isClosed || !isOnLoop {
                // The loop's tables must not be read on this thread.
                socket.close()
            } else if core.pointee.descriptors[socket.number] == nil {
                closeSocket(socket)
            }
        }
    }

    /// Takes over the sockets of an endpoint, if it has some and passes `check`, or closes them and throws.
    final func takeSockets(
        of endpoint: Endpoint, _ kind: Socket.Kind = .stream, _ check: () throws -> Void
    ) throws -> [Socket] {
        do {
            // Checked first, because a task that hopped too late must not read the loop's tables.
            if isClosed { throw EventLoopError.closed }
            try check()
            for socket in endpoint.sockets { try prepare(socket, kind) }
            return endpoint.sockets
        } catch {
            discard(endpoint.sockets)
            throw error
        }
    }

    /// Makes a socket that was created elsewhere non-blocking. Throws if this loop cannot use it.
    private final func prepare(_ socket: Socket, _ kind: Socket.Kind) throws {
        if let user = core.pointee.descriptors[socket.number] {
            throw EventLoopError.descriptorInUse(socket.descriptor, user)
        }
        try Task.checkCancellation()
        let type = try IOError.naming("take over descriptor \(socket.number)") {
            let type = try socket.option(SocketOption(level: SOL_SOCKET, name: SO_TYPE))
            _ = try Socket(adopting: socket.descriptor)
            return type
        }
        if type != Int(kind.cType) {
            throw EventLoopError(.invalidArgument, "descriptor \(socket.number) is not a \(kind) socket")
        }
        try checkRoom(for: socket.descriptor)
    }
}

extension [SocketOption: Int] {
    /// A unix socket has no TCP options.
    func applicable(to family: SocketAddress.Family?) -> Self {
        family == .unix ? filter { $0.key.level != SocketOption.noDelay.level } : self
    }
}
