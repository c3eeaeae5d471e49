/// A task that waits for something on its loop: how it goes on, and how the wait ended.
struct Waiter {
    enum Outcome {
        case pending
        /// What was waited for is there.
        case ready
        /// The task was cancelled.
        case cancelled
        /// The loop was closed.
        case closed
    }

    /// Empty before the task has suspended, and after it was resumed.
    var suspension = Suspension()
    var outcome = Outcome.pending
}

/// Names a waiter. `Sendable`: it may travel to another thread and come back late; a stale one does nothing.
typealias WaiterToken = SlotName

/// A task that has suspended in an operation of its loop; or none.
struct Suspension {
    /// Its job or its continuation; 0 for none. A task's address is never 0.
    private var bits: UInt = 0

    @inline(__always)
    var isEmpty: Bool { bits == 0 }

    /// The current task is about to suspend. On the loop, at home.
    ///
    /// - Parameter isolation: The isolation of the code that suspends.
    @inline(__always)
    mutating func begin(
        _ continuation: UnsafeContinuation<Void, Never>, _ isolation: (any Actor)?, on loop: EventLoop
    ) {
        loop.core.pointee.suspensions &+= 1
        bits = LoopWord(resuming: continuation, directly: loop.core.pointee.resumesDirectly && isolation == nil).bits
    }

    /// Queues the task, if there is one.
    @inline(__always)
    mutating func end(on loop: EventLoop) {
        if isEmpty { return }
        let word = LoopWord(bits: bits)
        bits = 0
        if word.kind == .taskJob {
            loop.core.pointee.ready.push(word)
        } else {
            // Its executor decides how it goes on.
            word.continuation.resume()
        }
    }

    /// Hands the task's job over instead of queueing it.
    ///
    /// - Returns: `nil` if there is no task, or if it goes on otherwise.
    @inline(__always)
    mutating func endReturningJob(on loop: EventLoop) -> UnownedJob? {
        if isEmpty { return nil }
        let word = LoopWord(bits: bits)
        bits = 0
        return word.kind == .taskJob ? word.job : loop.captureJob(word.continuation)
    }
}

/// Settling: the first one counts, later ones find the outcome or another generation.
extension EventLoop {
    final func makeWaiter() -> WaiterToken {
        core.pointee.waiters.insert(Waiter())
    }

    /// For a wait that could not begin.
    final func discardWaiter(_ token: WaiterToken) {
        _ = core.pointee.waiters.remove(token)
    }

    /// Whether nothing has ended the wait yet.
    final func isWaiting(_ token: WaiterToken) -> Bool {
        core.pointee.waiters[token]?.pointee.outcome == .pending
    }

    /// Ends the wait and queues the task, if it has suspended already. The loop's thread.
    final func settle(_ token: WaiterToken, _ outcome: Waiter.Outcome) {
        guard let waiter = core.pointee.waiters[token], waiter.pointee.outcome == .pending else { return }
        waiter.pointee.outcome = outcome
        waiter.pointee.suspension.end(on: self)
    }

    /// Ends the wait and hands the task's job back instead of queueing it: the tail job of an event source.
    final func settleReturningJob(_ token: WaiterToken) -> UnownedJob? {
        guard let waiter = core.pointee.waiters[token], waiter.pointee.outcome == .pending else { return nil }
        waiter.pointee.outcome = .ready
        return waiter.pointee.suspension.endReturningJob(on: self)
    }

    /// Resumes a task and hands its job back. `nil` if the task belongs to another executor, where it runs then.
    final func captureJob(_ continuation: UnsafeContinuation<Void, Never>) -> UnownedJob? {
        core.pointee.capture = .armed
        continuation.resume()
        guard case .job(let job) = core.pointee.capture.take() else { return nil }
        return job
    }

    /// From the cancellation handler of a task, on any thread.
    final func cancelWaiter(_ token: WaiterToken) {
        if isRunningHere {
            settle(token, .cancelled)
        } else {
            _ = inbox.post(LoopWord(.cancelledWaiter, token))
        }
    }

    /// Suspends the current task until its waiter is settled; takes the waiter away.
    ///
    /// The caller is on the loop, and its task comes back to the loop after a suspension (``homeRecord(_:_:)``).
    @inline(__always)
    final nonisolated(nonsending) func suspend(_ token: WaiterToken, _ record: TaskRecord?) async -> Waiter.Outcome {
        let isolation = #isolation
        defer { _ = core.pointee.waiters.remove(token) }
        if let record {
            // This task's one cancellation handler looks for the waiter here.
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

    /// As ``suspend(_:_:)``, but a cancellation of the task does not end the wait.
    final nonisolated(nonsending) func suspendToTheEnd(_ token: WaiterToken) async -> Waiter.Outcome {
        let isolation = #isolation
        defer { _ = core.pointee.waiters.remove(token) }
        await suspendInPlace { store($0, isolation, token) }
        return core.pointee.waiters[token]?.pointee.outcome ?? .closed
    }

    /// The task suspends, unless the wait was settled before.
    @inline(__always)
    private final func store(
        _ continuation: UnsafeContinuation<Void, Never>, _ isolation: (any Actor)?, _ token: WaiterToken
    ) {
        guard let waiter = core.pointee.waiters[token], waiter.pointee.outcome == .pending else {
            core.pointee.suspensions &+= 1
            continuation.resume()
            return
        }
        waiter.pointee.suspension.begin(continuation, isolation, on: self)
    }
}

/// Suspends the current task in the caller's own frame. `register` must keep the continuation, or resume it.
///
/// As `withUnsafeContinuation`, which makes sure before the suspension, too, that the task is where its isolation wants
/// it: that costs a look-up of the task's executor, under the task's lock. Here the task is known to be there.
@inline(__always)
nonisolated(nonsending) func suspendInPlace(_ register: (UnsafeContinuation<Void, Never>) -> Void) async {
    await _unsafeInheritExecutor_withUnsafeContinuation(register)
}

/// Where the job goes that resuming a continuation enqueues.
enum JobCapture {
    case none
    /// The next job of this thread is to be handed back.
    case armed
    case job(UnownedJob)

    mutating func take() -> JobCapture {
        let taken = self
        self = .none
        return taken
    }
}
