/// A lock with a queue of tasks that wait until the state it protects has changed. asyncio: `Condition`.
///
/// ```swift
/// let changed = Condition()
/// // A task that needs free memory:
/// try await changed.withLock {
///     try await changed.wait { freeBytes >= 100 }
///     freeBytes -= 100
/// }
/// // A task that frees some:
/// try await changed.withLock {
///     freeBytes += 100
///     try changed.notifyAll()
/// }
/// ```
///
/// - Thread: as with ``Lock``; the loop is that of the lock.
public final class Condition: CustomStringConvertible {
    /// The lock, which several conditions may share.
    public let lock: Lock
    // Accessed within one statement, so the dynamic check for overlapping accesses could find nothing.
    @exclusivity(unchecked) private var waiters = WaitQueue()

    /// Creates a condition of `lock`.
    public init(_ lock: Lock = Lock()) { self.lock = lock }

    /// Whether a task holds the lock. asyncio: `locked`.
    public var isLocked: Bool { lock.isLocked }

    /// Acquires the lock; see ``Lock/acquire()``.
    public func acquire() async throws { try await lock.acquire() }

    /// Releases the lock; see ``Lock/release()``.
    public func release() throws(EventLoopError) { try lock.release() }

    /// Calls `body` with the lock; see ``Lock/withLock(_:)``.
    @inlinable
    public func withLock<Result>(_ body: @concurrent () async throws -> Result) async throws -> Result {
        try await lock.withLock(body)
    }

    /// Releases the lock, waits until another task notifies this one, and acquires the lock again. asyncio: `wait`.
    ///
    /// The lock is held when this function returns and when it throws. Throws `.invalidState` if the lock is not locked
    /// at the beginning; `CancellationError` when the task is cancelled, and a notification that it may have got goes
    /// to the next task; `.closed`; `.anotherLoopRunning`. Check the state again after a wait, because a third task may
    /// have changed it; ``wait(for:)`` does that.
    public func wait() async throws {
        if lock.permits.binding.loop == nil { try lock.permits.binding.bind() }
        _ = try lock.permits.binding.enter("Condition.wait")
        guard let loop = lock.permits.binding.loop else { throw EventLoopError.notRunning }
        try await loop.withAffinity("Condition.wait") { record in try await wait(on: loop, record) }
    }

    private func wait(on loop: EventLoop, _ record: TaskRecord?) async throws {
        try requireLocked("Condition.wait")
        if loop.isClosed { throw EventLoopError.closed }
        let token = waiters.add(on: loop)
        lock.permits.give()
        let (wasChosen, error) = await loop.waitToBeChosen(token, record)
        if !wasChosen { waiters.forget(token, on: loop) }
        await lock.permits.reacquire(on: loop, record)
        // It may have been cancelled while it waited for the lock, too.
        guard let error = error ?? (loop.isCancelled(record) ? CancellationError() : nil) else { return }
        if wasChosen { _ = waiters.resumeFirst(on: loop) }
        throw error
    }

    /// Waits as ``wait()`` does until `predicate` is true, which it may be at once. asyncio: `wait_for`.
    /// Throws as ``wait()`` does, and what `predicate` throws.
    public func wait(for predicate: () throws -> Bool) async throws {
        while try !predicate() { try await wait() }
    }

    /// Resumes the first `count` tasks that wait. They continue one after another, when the lock is free.
    /// Throws `.invalidState` if the lock is not locked, `.wrongThread`, and `.anotherLoopRunning`.
    public func notify(_ count: Int = 1) throws(EventLoopError) {
        try lock.permits.binding.check("Condition.notify")
        try requireLocked("Condition.notify")
        var remaining = count
        while remaining > 0, waiters.resumeFirst(on: lock.permits.binding.loop) { remaining -= 1 }
    }

    /// Resumes all tasks that wait. Everything else is as in ``notify(_:)``. asyncio: `notify_all`.
    public func notifyAll() throws(EventLoopError) {
        try lock.permits.binding.check("Condition.notifyAll")
        try requireLocked("Condition.notifyAll")
        waiters.resumeAll(on: lock.permits.binding.loop)
    }

    private func requireLocked(_ function: StaticString) throws(EventLoopError) {
        if lock.permits.available > 0 {
            throw EventLoopError(.invalidState, "\(function): the lock of the condition is not locked")
        }
    }

    /// The state of the lock and the number of tasks that wait for a notification, such as
    /// `<Condition locked, 2 waiting>`.
    public var description: String {
        guard lock.permits.binding.isUsable else { return "<Condition of another loop>" }
        let state = lock.permits.available > 0 ? "unlocked" : "locked"
        return "<Condition \(state)\(waitingText(waiters.count(on: lock.permits.binding.loop)))>"
    }
}

@available(*, unavailable, message: "a condition belongs to its loop")
extension Condition: Sendable {}
