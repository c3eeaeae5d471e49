public import AsyncIOSystem
import CAsyncIO
import SystemPackage

/// Sockets that were made elsewhere.
extension EventLoop {
    /// Takes over a connected socket of the program's; its data goes to a protocol. asyncio:
    /// `create_connection(sock=)`.
    ///
    /// The socket belongs to this call, which makes it non-blocking: it is closed by the connection, and also if this
    /// throws; do not close it. Only `.descriptorInUse`, for one that a transport of this loop has already, leaves it
    /// alone. Throws `.invalidArgument` unless it is a stream socket, an `IOError` unless it is connected, and what the
    /// factory throws. A cancelled task gets a `CancellationError`, and the socket is closed.
    public final func createConnection<Protocol: StreamProtocol>(
        socket: Socket, fileID: StaticString = #fileID, line: UInt = #line, _ makeProtocol: () throws -> Protocol
    ) async throws -> sending (transport: StreamTransport, protocol: Protocol) {
        guard isOnLoop, !isClosed else {
            // A task that is not at home would hop, which a closed loop refuses without a look at the socket.
            socket.close()
            throw isOnLoop ? EventLoopError.closed : .wrongThread("createConnection")
        }
        let made = try await atHome { _ in
            let driver = try adopt(socket)
            return UncheckedSendable(
                value: try await begin(driver, peer: nil, CallSite(fileID: fileID, line: line), makeProtocol))
        }
        nonisolated(unsafe) let value = made.value
        return value
    }

    /// Takes over a connection that was accepted elsewhere: by another process, or by a listener that this loop does
    /// not know. asyncio: `connect_accepted_socket`.
    ///
    /// As ``createConnection(socket:fileID:line:_:)``, on this side of a connection too.
    public final func connectAcceptedSocket<Protocol: StreamProtocol>(
        _ socket: Socket, fileID: StaticString = #fileID, line: UInt = #line, _ makeProtocol: () throws -> Protocol
    ) async throws -> sending (transport: StreamTransport, protocol: Protocol) {
        try await createConnection(socket: socket, fileID: fileID, line: line, makeProtocol)
    }

    /// The driver of a connected socket that was made elsewhere. It closes the socket if it throws, as described above.
    final func adopt(_ socket: Socket) throws -> StreamDriver {
        try take(socket)
        do {
            guard socket.hasPeer else { throw IOError(.socketNotConnected, operation: "take over a socket") }
            // Not for unix sockets; and a peer that is gone already is found out by the first receive.
            if socket.localAddress?.family != .unix { try? socket.setOption(.noDelay, to: 1) }
        } catch {
            closeSocket(socket)
            throw error
        }
        do {
            return try makeStreamDriver(ByteChannel(socket))
        } catch {
            throw IOError(error, operation: "take over a socket")
        }
    }

    /// Makes a stream socket that was made elsewhere fit for this loop. Closes it if it throws, as in a cancelled task.
    final func take(_ socket: Socket) throws {
        if isClosed {
            // First: a task that hopped too late is on another thread, where the loop's tables are not to be looked at.
            socket.close()
            throw EventLoopError.closed
        }
        if let user = core.pointee.descriptors[socket.number] {
            throw EventLoopError.descriptorInUse(socket.descriptor, user)
        }
        do {
            try Task.checkCancellation()
            let type: Int
            do {
                type = try socket.option(SocketOption(level: SOL_SOCKET, name: SO_TYPE))
                _ = try Socket(adopting: socket.descriptor)
            } catch {
                throw IOError(error, operation: "take over descriptor \(socket.number)")
            }
            if type != Int(SOCK_STREAM.rawValue) {
                throw EventLoopError(.invalidArgument, "descriptor \(socket.number) is not a stream socket")
            }
            try checkRoom(for: socket.descriptor)
        } catch {
            closeSocket(socket)
            throw error
        }
    }
}
