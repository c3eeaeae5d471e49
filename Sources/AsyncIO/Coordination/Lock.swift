/// A lock for tasks of one loop: one task at a time holds it. asyncio: `Lock`.
///
/// ```swift
/// let lock = Lock()
/// try await lock.withLock {
///     // No other task that uses the lock is here, also while this one waits.
/// }
/// ```
///
/// Code between two `await`s is never interrupted by other code of its loop, so a lock is needed only if nothing may
/// come between several steps that wait. It blocks no thread. Tasks get the lock in the order in which they asked for
/// it: a lock that is released while tasks wait goes to the first of them at once, and stays locked. If that task is
/// cancelled before it could run, the next one gets the lock. The lock is not reentrant: a task that acquires it twice
/// waits for itself.
///
/// - Thread: the loop's, which is the one on which the lock was used first; another loop is rejected with
///   `.anotherLoopRunning`. Async functions called by a task of another thread hop.
public final class Lock: CustomStringConvertible {
    @usableFromInline let permits = Permits(1)

    /// Creates a lock that is not locked.
    public init() {}

    /// Whether a task holds the lock, so that acquiring it waits. asyncio: `locked`.
    public var isLocked: Bool {
        permits.binding.require("Lock.isLocked")
        return permits.available <= 0
    }

    /// Waits until the lock is free, and locks it. asyncio: `acquire`.
    ///
    /// Throws `CancellationError` if the task is cancelled before it has the lock, `.closed`, `.anotherLoopRunning`,
    /// and `.notRunning` where no loop runs before the first use. A free lock is taken even in a cancelled task.
    public func acquire() async throws {
        try await permits.acquire("Lock.acquire")
    }

    /// Unlocks the lock, or passes it to the first task that waits. asyncio: `release`.
    ///
    /// Any task may do that. Throws `.invalidState` if the lock is not locked, `.wrongThread`, and
    /// `.anotherLoopRunning`.
    public func release() throws(EventLoopError) {
        try permits.binding.check("Lock.release")
        if permits.available > 0 { throw EventLoopError(.invalidState, "Lock.release: the lock is not locked") }
        permits.give()
    }

    /// Acquires the lock, calls `body`, and releases the lock, also if `body` throws. asyncio: `async with lock`.
    /// Throws as ``acquire()`` does, and what `body` throws.
    @inlinable
    public func withLock<Result>(_ body: @concurrent () async throws -> Result) async throws -> Result {
        if try permits.beginHere("Lock.withLock", #isolation) {
            defer { permits.give() }
            return try await body()
        }
        return try await permits.withPermit("Lock.withLock", body)
    }

    /// The state, such as `<Lock locked, 2 waiting>`.
    public var description: String {
        "<Lock \(permits.binding.isUsable ? permits.lockState : "of another loop")>"
    }
}

extension Permits {
    /// The state of a lock and the number of its waiting tasks. Called on the loop.
    var lockState: String {
        (available <= 0 ? "locked" : "unlocked") + waitingText(waitingCount)
    }
}

/// The end of a description, such as `, 2 waiting`.
func waitingText(_ count: Int) -> String { count == 0 ? "" : ", \(count) waiting" }

@available(*, unavailable, message: "a lock belongs to its loop; between threads, use a mutex")
extension Lock: Sendable {}
