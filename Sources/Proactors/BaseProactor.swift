public import AsyncIOSystem
public import SystemPackage

/// Carries out operations and reports when they have completed. asyncio: the proactor of `ProactorEventLoop`.
///
/// Every proactor obeys these rules:
/// - Each operation has exactly one last completion, also when it was cancelled: with `ECANCELED`, or with its real
///   result if that came first. The kinds `accept` and `receiveIntoPool` have completions before that, with
///   ``Completion/hasMore``. They may end after any completion, and are then submitted again.
/// - Until its last completion the memory of an operation belongs to the proactor.
/// - A buffer of the pool belongs to the proactor from when it takes it until the completion that carries it. What it
///   has taken and not passed on when it is closed, it returns.
/// - Submissions may be collected. They have begun when the next `wait` does, in the order of their submission.
/// - A cancelled poll no longer holds the descriptor's file when `cancel` returns, so that closing the descriptor sends
///   EOF to the peer.
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

    /// Whether the kernel may still use the memory of operations after `close()`. Then the loop never frees it.
    var hasUnfinishedOperations: Bool { get }
}

extension BaseProactor {
    /// Does nothing, for proactors that begin each operation when it is submitted.
    public func flush() {}

    /// False, for proactors whose `close()` waits for all operations.
    public var hasUnfinishedOperations: Bool { false }
}
