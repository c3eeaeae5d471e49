public import AsyncIOSystem
public import SystemPackage

/// Carries out operations and reports when they have completed. asyncio: the proactor of `ProactorEventLoop`.
///
/// Every proactor obeys these rules:
/// - Each operation has exactly one last completion, also when it was cancelled: with `ECANCELED`, or with its real
///   result if that came first. An operation of kind `accept` has completions before that, with ``Completion/hasMore``.
/// - Until its last completion the memory of an operation belongs to the proactor.
/// - Submissions may be collected. They have begun when the next `wait` does, in the order of their submission.
/// - A cancelled poll no longer holds the descriptor's file when the next `wait` begins, so that closing the descriptor
///   in the same iteration sends EOF to the peer.
///
/// - Thread: the loop's.
public protocol BaseProactor: Poller where Event == Completion {
    /// Begins an operation, whose completions carry `token`. No other pending operation has the same token.
    ///
    /// Throws `EOPNOTSUPP` for a kind that the proactor does not know.
    func submit(_ operation: ProactorOperation, token: UInt64) throws(Errno)

    /// Requests the end of an operation, which completes nevertheless. A token that is not pending is ignored.
    func cancel(token: UInt64)
}
