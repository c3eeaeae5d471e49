/// A task that waits on its loop: how to resume it, and how the wait ended.
struct Waiter {
    enum Outcome {
        case pending
        case ready
        case cancelled
        case closed
    }

    /// Empty before the task has suspended, and after it was resumed.
    var suspension = Suspension()
    var outcome = Outcome.pending
}

/// The id of a waiter. It is `Sendable`: it may travel to another thread and return late; a stale id has no effect.
typealias WaiterToken = SlotID

/// A task that has suspended in an operation of its loop, or none.
struct Suspension {
    /// The task's job or continuation; 0 for none. The address of a task is never 0.
    private var bits: UInt = 0

    @inline(__always) var isEmpty: Bool { bits == 0 }

    /// Called when the current task suspends, which must resume on the loop and has the given isolation.
    @inline(__always)
    mutating func begin(
        _ continuation: UnsafeContinuation<Void, Never>, _ isolation: (any Actor)?, on loop: EventLoop
    ) {
        loop.core.pointee.suspensions &+= 1
        bits = LoopWord(resuming: continuation, directly: loop.core.pointee.resumesDirectly && isolation == nil).bits
    }

    @inline(__always) mutating func end(on loop: EventLoop) {
        if isEmpty { return }
        let word = LoopWord(bits: bits)
        bits = 0
        if word.kind == .taskJob {
            loop.core.pointee.ready.push(word)
        } else {
            // Its executor decides where it continues.
            word.continuation.resume()
        }
    }

    /// Returns the task's job instead of queueing it; `nil` if there is no task, or if its executor resumes it.
    @inline(__always) mutating func endReturningJob(on loop: EventLoop) -> UnownedJob? {
        if isEmpty { return nil }
        let word = LoopWord(bits: bits)
        bits = 0
        return word.kind == .taskJob ? word.job : loop.captureJob(word.continuation)
    }
}

/// Ending of waits. The first outcome counts; later ones find the outcome set, or another generation.
extension EventLoop {
    final func makeWaiter() -> WaiterToken { core.pointee.waiters.insert(Waiter()) }

    /// Removes the waiter of a wait that could not begin.
    final func discardWaiter(_ token: WaiterToken) { _ = core.pointee.waiters.remove(token) }

    final func isWaiting(_ token: WaiterToken) -> Bool { pendingWaiter(token) != nil }

    @inline(__always)
    private final func pendingWaiter(_ token: WaiterToken) -> UnsafeMutablePointer<Waiter>? {
        guard let waiter = core.pointee.waiters[token], waiter.pointee.outcome == .pending else { return nil }
        return waiter
    }

    /// Ends the wait, and queues the task if it has suspended already.
    final func settle(_ token: WaiterToken, _ outcome: Waiter.Outcome) {
        guard let waiter = pendingWaiter(token) else { return }
        waiter.pointee.outcome = outcome
        waiter.pointee.suspension.end(on: self)
    }

    /// Ends the wait, and returns the task's job instead of queueing it: the tail job of an event source.
    final func settleReturningJob(_ token: WaiterToken) -> UnownedJob? {
        guard let waiter = pendingWaiter(token) else { return nil }
        waiter.pointee.outcome = .ready
        return waiter.pointee.suspension.endReturningJob(on: self)
    }

    /// Resumes a task and returns its job. Returns `nil` if the task belongs to another executor, which then runs it.
    final func captureJob(_ continuation: UnsafeContinuation<Void, Never>) -> UnownedJob? {
        core.pointee.capturesJob = true
        continuation.resume()
        core.pointee.capturesJob = false
        return core.pointee.capturedJob.take()
    }

    /// Called by the cancellation handler of a task, on any thread.
    final func cancelWaiter(_ token: WaiterToken) {
        if isRunningHere {
            settle(token, .cancelled)
        } else {
            _ = inbox.post(LoopWord(.cancelledWaiter, token))
        }
    }

    /// Suspends the current task until its wait ends, with a cancellation only if `endsWhenCancelled`, and then removes
    /// the waiter. The caller is on the loop, and its task resumes there (``affinityRecord(_:)``).
    @inline(__always)
    final nonisolated(nonsending) func suspend(
        _ token: WaiterToken, _ record: TaskRecord?, endsWhenCancelled: Bool = true
    ) async -> Waiter.Outcome {
        let isolation = #isolation
        defer { _ = core.pointee.waiters.remove(token) }
        if !endsWhenCancelled {
            await suspendInPlace { store($0, isolation, token) }
        } else if let record {
            // In the record, because this task's only cancellation handler looks for it there.
            record.willWait(token)
            await suspendInPlace { store($0, isolation, token) }
            record.didWait()
        } else {
            await withTaskCancellationHandler {
                await suspendInPlace { store($0, isolation, token) }
            } onCancel: {
                cancelWaiter(token)
            }
        }
        return core.pointee.waiters[token]?.pointee.outcome ?? .closed
    }

    final func check(_ outcome: Waiter.Outcome) throws {
        switch outcome {
        case .ready, .pending: break
        case .cancelled: throw CancellationError()
        case .closed: throw EventLoopError.closed
        }
    }

    /// Suspends the task, unless the wait has already ended.
    @inline(__always)
    private final func store(
        _ continuation: UnsafeContinuation<Void, Never>, _ isolation: (any Actor)?, _ token: WaiterToken
    ) {
        guard let waiter = pendingWaiter(token) else {
            core.pointee.suspensions &+= 1
            continuation.resume()
            return
        }
        waiter.pointee.suspension.begin(continuation, isolation, on: self)
    }
}

/// Suspends the current task in the caller's own frame. `register` must store the continuation, or resume it.
///
/// `withUnsafeContinuation` would also check that the task runs where its isolation requires, which costs a lookup of
/// the task's executor, under the task's lock. Here the task is known to run there.
@inline(__always)
nonisolated(nonsending) func suspendInPlace(_ register: (UnsafeContinuation<Void, Never>) -> Void) async {
    await _unsafeInheritExecutor_withUnsafeContinuation(register)
}
