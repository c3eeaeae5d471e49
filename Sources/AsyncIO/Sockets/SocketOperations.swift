public import AsyncIOSystem

/// The raw operations of a loop on sockets of the program: see ``EventLoop/sock``. asyncio: `loop.sock_recv` and the
/// like.
public struct SocketOperations: Sendable {
    /// The loop on which the operations wait.
    public let loop: EventLoop
}

extension EventLoop {
    /// Raw operations on sockets of the program, such as `loop.sock.recv(socket, maxBytes: 1024)`. asyncio:
    /// `loop.sock_recv`.
    /// - Thread: any.
    public final var sock: SocketOperations { SocketOperations(loop: self) }
}

extension SocketOperations {
    /// Closes a socket that raw operations or watchers may be using. No function of asyncio's.
    ///
    /// Whoever waits for the socket, in an operation or in ``EventLoop/waitReadable(_:)``, gets `.closed` in the next
    /// tick; readers and writers are removed; then the descriptor is freed. `Socket.close()` alone does not do that:
    /// the loop does not hear of it, the waits go on until they are cancelled or until the number is used again, and
    /// with some selectors what uses the number next is told of events that are not its own. Throws `.descriptorInUse`
    /// for a socket that belongs to a transport, `.wrongThread`. The loop's thread.
    public func close(_ socket: Socket) throws(EventLoopError) {
        guard loop.isOnLoop else { throw .wrongThread("sock.close") }
        if let user = loop.core.pointee.descriptors[socket.number] {
            guard let watcher = user as? DescriptorWatcher else { throw .descriptorInUse(socket.descriptor, user) }
            watcher.end()
        }
        loop.closeSocket(socket)
    }
}

extension SocketOperations: CustomStringConvertible {
    /// Names the loop.
    public var description: String { "<SocketOperations of \(loop)>" }
}
