import AsyncIOSystem
import SystemPackage

/// Connections of sockets that other code has created.
extension EventLoop {
    /// Returns the driver of the connected socket of an endpoint. Owns the socket.
    final func adopt(_ endpoint: Endpoint, _ options: ConnectionOptions) throws -> StreamDriver {
        let sockets = endpoint.sockets
        do {
            if isClosed { throw EventLoopError.closed }
            try endpoint.checkForClient()
            if let local = options.localAddress {
                throw EventLoopError(
                    .invalidArgument, "the local address \(local) cannot be given to \(endpoint), which has one")
            }
        } catch {
            discard(sockets)
            throw error
        }
        return try adopt(sockets[0], options.socketOptions)
    }

    private final func adopt(_ socket: Socket, _ options: [SocketOption: Int]) throws -> StreamDriver {
        try take(socket)
        do {
            guard socket.hasPeer else { throw IOError(.socketNotConnected, operation: "take over a socket") }
            for (option, value) in options.applicable(to: socket.family) {
                do {
                    try socket.setOption(option, to: value)
                } catch {
                    // The socket is not a TCP socket, or its peer has disconnected, which the first receive reports.
                    if option == .noDelay { continue }
                    throw IOError(error, operation: "set \(option) of socket \(socket.number)")
                }
            }
        } catch {
            closeSocket(socket)
            throw error
        }
        do {
            return try openStreamDriver(ByteChannel(socket))
        } catch {
            throw IOError(error, operation: "take over a socket")
        }
    }
}
