/// A wait that costs no waiter of its own: the task's record holds it, since a task waits for one thing at a time.
///
/// The object that ends the wait refers to the record without retaining it. That is safe because the task clears the
/// reference before it goes on, and the record lives at least as long as the task.
extension TaskRecord {
    /// Throws `CancellationError` if the task was cancelled before. On the loop, in the task.
    @inline(__always)
    func beginWait() throws {
        if isCancelledNow { throw CancellationError() }
    }

    /// The task suspends.
    @inline(__always)
    func suspend(_ continuation: UnsafeContinuation<Void, Never>, _ isolation: (any Actor)?) {
        suspension.begin(continuation, isolation, on: loop)
    }

    /// The task goes on. Throws `CancellationError` if that is why.
    @inline(__always)
    func endWait() throws {
        if wasCancelledInWait { try throwCancellation() }
    }

    @inline(never)
    private func throwCancellation() throws {
        wasCancelledInWait = false
        throw CancellationError()
    }
}
