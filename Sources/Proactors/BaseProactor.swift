public import AsyncIOSystem
public import SystemPackage

/// Carries out operations and reports when they have completed. asyncio: the proactor of `ProactorEventLoop`.
///
/// Every proactor obeys these rules:
/// - Each operation has exactly one last completion, also when it was cancelled: with `ECANCELED`, or with its real
///   result if that came first. The kinds `accept`, `receiveIntoPool` and `receiveMessages` have completions before
///   that, with ``Completion/hasMore``. They may end after any completion, and are then submitted again.
/// - Until its last completion the memory of an operation belongs to the proactor.
/// - A buffer of the pool belongs to the proactor from when it takes it until the completion that carries it. What it
///   has taken and not passed on when it is closed, it returns.
/// - Submissions may be collected. They have begun when the next `wait` does, in the order of their submission.
/// - When `cancel` returns, an operation of any kind but `receiveIntoPool` and `send` no longer holds the file of its
///   descriptor, and does not begin any more. So closing the descriptor sends EOF to the peer, and the next file with
///   its number is not touched.
/// - A `close` is carried out behind the cancellations before it, also when the proactor is closed.
///
/// - Thread: the loop's.
public protocol BaseProactor: Poller where Event == Completion {
    /// The pool that `receiveIntoPool` operations take their buffers from: a `BufferPool()`, until a loop sets its own.
    var buffers: BufferPool { get set }

    /// Begins an operation, whose completions carry `token`. No other pending operation has the same token, and the
    /// two uppermost bits of a token are zero.
    ///
    /// Throws `EOPNOTSUPP` for a kind that the proactor does not know.
    func submit(_ operation: ProactorOperation, token: UInt64) throws(Errno)

    /// Requests the end of an operation of this kind, which completes nevertheless. A token that is not pending is
    /// ignored.
    func cancel(_ kind: ProactorOperation.Kind, token: UInt64)

    /// Begins the operations that were submitted, without waiting, because the next `wait` may come late or never.
    func flush()

    /// Whether operations of the kind `receiveMessages` work. Otherwise the loop polls datagram sockets.
    var receivesMessages: Bool { get }

    /// Whether the kernel may still use the memory of operations after `close()`. Then the loop never frees it.
    var hasUnfinishedOperations: Bool { get }

    // MARK: Transfers that do not wait

    /// Whether the next four members work. Otherwise the loop submits every transfer as an operation.
    var supportsImmediateTransfers: Bool { get }

    /// Carries out sends with the next submission, without waiting for room in the sockets.
    ///
    /// There is no completion for a send if all bytes were sent. Otherwise there is one, with the number of bytes, or
    /// with `EAGAIN` or another error, and with ``Completion/hasMore``, because the token stays in use. Two sends on
    /// one socket must not be in flight at the same time: the second could succeed after a short first one.
    func submitImmediateSends(_ sends: UnsafeBufferPointer<ImmediateSend>)

    /// Whether every immediate send that was submitted before the last `wait` has ended, so that its memory is free,
    /// and all completions of such sends were reported.
    var immediateSendsHaveEnded: Bool { get }

    /// Submits everything, and sends bytes of a stream socket without waiting. Returns the result, as send(2) does.
    func sendAtOnce(_ bytes: UnsafeRawBufferPointer, on socket: Socket) -> IOResult

    /// Submits everything, and receives from a stream socket without waiting. Returns the result, as recv(2) does.
    func receiveAtOnce(into buffer: UnsafeMutableRawBufferPointer, from socket: Socket) -> IOResult
}

extension BaseProactor {
    /// Does nothing, for proactors that begin each operation when it is submitted.
    public func flush() {}

    /// False.
    public var receivesMessages: Bool { false }

    /// False, for proactors whose `close()` waits for all operations.
    public var hasUnfinishedOperations: Bool { false }

    /// False.
    public var supportsImmediateTransfers: Bool { false }

    public func submitImmediateSends(_ sends: UnsafeBufferPointer<ImmediateSend>) {
        preconditionFailure("\(type(of: self)) has no immediate sends")
    }

    public var immediateSendsHaveEnded: Bool { false }

    public func sendAtOnce(_ bytes: UnsafeRawBufferPointer, on socket: Socket) -> IOResult { socket.send(bytes) }

    public func receiveAtOnce(into buffer: UnsafeMutableRawBufferPointer, from socket: Socket) -> IOResult {
        socket.receive(into: buffer)
    }
}

/// Bytes of a stream socket that are sent without waiting. The memory is free when
/// ``BaseProactor/immediateSendsHaveEnded`` says so.
@frozen
public struct ImmediateSend {
    public let bytes: UnsafeRawBufferPointer
    public let socket: Socket
    public let token: UInt64

    @inlinable public init(_ bytes: UnsafeRawBufferPointer, on socket: Socket, token: UInt64) {
        self.bytes = bytes
        self.socket = socket
        self.token = token
    }
}

extension ImmediateSend: CustomStringConvertible {
    /// Such as `send 5 bytes on fd=7`.
    public var description: String { "send \(bytes.count) bytes on fd=\(socket.number)" }
}
