public import AsyncIOSystem
public import SystemPackage

/// Carries out operations and tells when they are done. asyncio: the proactor of `ProactorEventLoop`.
///
/// The rules that every proactor keeps:
/// - Each submission has exactly one completion, also when it was cancelled (`ECANCELED`, or its real result if that was faster).
/// - Between submission and completion the memory of the operation belongs to the kernel.
/// - Submissions may be collected; they have begun when the next `wait` does.
public protocol BaseProactor: Poller where Event == Completion {
    /// Begins an operation and names it `token`, which is in no other pending operation.
    func submit(_ submission: Submission, token: UInt64) throws(Errno)

    /// Asks for the end of an operation. It still completes.
    func cancel(token: UInt64)
}
