/// A wait that needs no waiter, because the task's record holds it. A task waits for one thing at a time.
///
/// The object that ends the wait refers to the record without retaining it. That is safe because the task clears the
/// reference before it continues, and the record lives at least as long as the task.
extension TaskRecord {
    /// Throws `CancellationError` if the task was cancelled before. Called on the loop, in the task.
    @inline(__always)
    func beginWait() throws {
        if isCancelledNow { throw CancellationError() }
    }

    /// Called when the task suspends.
    @inline(__always)
    func suspend(_ continuation: UnsafeContinuation<Void, Never>, _ isolation: (any Actor)?) {
        suspension.begin(continuation, isolation, on: loop)
    }

    /// Called when the task continues. Throws `CancellationError` if a cancellation ended the wait.
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
