/// A task that waits for something on its loop: where its continuation is kept, and how the wait ended.
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

    /// `nil` before the task has suspended, and after it was resumed.
    var continuation: UnsafeContinuation<Void, Never>?
    var outcome = Outcome.pending
}

/// Names a waiter. `Sendable`: it may travel to another thread and come back late; a stale one does nothing.
typealias WaiterToken = SlotName

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
        waiter.pointee.continuation.take()?.resume()
    }

    /// Ends the wait and hands the task's job back instead of queueing it: the tail job of an event source.
    final func settleReturningJob(_ token: WaiterToken) -> UnownedJob? {
        guard let waiter = core.pointee.waiters[token], waiter.pointee.outcome == .pending else { return nil }
        waiter.pointee.outcome = .ready
        guard let continuation = waiter.pointee.continuation.take() else { return nil }
        return captureJob(continuation)
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
        defer { _ = core.pointee.waiters.remove(token) }
        if let record {
            // This task's one cancellation handler looks for the waiter here.
            record.willWait(token)
            await withUnsafeContinuation { store($0, token) }
            record.didWait()
        } else {
            await withTaskCancellationHandler {
                await withUnsafeContinuation { store($0, token) }
            } onCancel: {
                cancelWaiter(token)
            }
        }
        return core.pointee.waiters[token]?.pointee.outcome ?? .closed
    }

    /// The task suspends, unless the wait was settled before.
    @inline(__always)
    private final func store(_ continuation: UnsafeContinuation<Void, Never>, _ token: WaiterToken) {
        core.pointee.suspensions &+= 1
        guard let waiter = core.pointee.waiters[token], waiter.pointee.outcome == .pending else {
            continuation.resume()
            return
        }
        waiter.pointee.continuation = continuation
    }
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
