public import AsyncIOSystem

/// The raw operations of a loop on sockets of the program: see ``EventLoop/sock``. asyncio: `loop.sock_recv` etc.
///
/// Rules for all operations:
/// - The socket stays yours.
/// - The system call is made at once. The task waits only if the call would block, so an operation that need not wait
///   succeeds even in a cancelled task, except ``accept(_:)``. A cancelled operation has received nothing.
/// - Only one task may wait per direction. Another one gets `.busy`, also while there is a callback of
///   ``EventLoop/addReader(_:fileID:line:_:)`` or `addWriter` for the direction.
/// - ``close(_:)`` ends waits with `.closed`.
/// - A blocking socket is rejected with `.invalidArgument` where a call would block the loop; in debug mode always.
///
/// They throw an `IOError` with the operation and the peer, `CancellationError`, and `.descriptorInUse` if a transport
/// owns the socket.
/// - Thread: any, unless a member says otherwise; the task hops to the loop and back.
public struct SocketOperations: Sendable, CustomStringConvertible {
    /// The loop on which the operations wait.
    public let loop: EventLoop

    /// Names the loop.
    public var description: String { "<SocketOperations of \(loop)>" }
}

extension EventLoop {
    /// Raw operations on sockets of the program, such as `loop.sock.recv(socket, maxBytes: 1024)`.
    /// - Thread: any.
    public final var sock: SocketOperations { SocketOperations(loop: self) }
}

extension SocketOperations {
    /// Closes a socket that raw operations or watchers may be using. asyncio has no such function.
    ///
    /// Tasks that wait for the socket get `.closed` in the next iteration, and readers and writers are removed.
    /// `Socket.close()` alone does not notify the loop. The waits would continue until they are cancelled or until the
    /// number is used again, and with some selectors the next user of the number would get events of the former file.
    /// Throws `.descriptorInUse` for a socket that belongs to a transport, and `.wrongThread`.
    /// - Thread: the loop's.
    public func close(_ socket: Socket) throws(EventLoopError) {
        guard loop.isOnLoop else { throw .wrongThread("sock.close") }
        if let user = loop.core.pointee.descriptors[socket.number] {
            guard let watcher = user as? DescriptorWatcher else { throw .descriptorInUse(socket.descriptor, user) }
            watcher.end()
        }
        loop.closeSocket(socket)
    }
}
