import Synchronization

/// The part of a future that does not depend on its value's type, so that its code is compiled once and is not generic.
/// A future with one waiting task allocates nothing besides itself.
@usableFromInline struct FutureCore: ~Copyable {
    @usableFromInline enum Status: UInt8 { case pending, finished, failed, cancelled }

    /// What is notified when the future is done.
    enum Listener {
        case callback(UInt64, CallSite, (AnyObject) throws -> Void)
        case waiter(WaiterToken)
        /// A closure that is called only if the future is cancelled.
        case cancellation(@Sendable () -> Void)
    }

    /// State that few futures need.
    final class Rest {
        var listeners: [Listener] = []
        var staleWaiters = 0
        var callbackCount: UInt64 = 0
    }

    @usableFromInline var status = Status.pending
    private var wasRead = false
    /// Whether the future was cancelled, for the threads of its promises.
    let wasCancelled = Atomic<Bool>(false)
    var error: (any Error)?
    /// The waiter that was added before all other listeners.
    var firstWaiter: WaiterToken?
    private var made: Rest?

    var hasRest: Bool { made != nil }

    var rest: Rest {
        mutating get {
            if let made { return made }
            let rest = Rest()
            made = rest
            return rest
        }
    }

    var unreadError: (any Error)? { wasRead ? nil : error }

    /// Returns the error for a reader of the value, and marks it as retrieved.
    @usableFromInline mutating func takeFailure() -> any Error {
        switch status {
        case .pending, .finished: return EventLoopError(.invalidState, "the future is not done")
        case .cancelled: return CancellationError()
        case .failed:
            wasRead = true
            return error ?? CancellationError()
        }
    }

    mutating func add(_ waiter: WaiterToken) {
        if firstWaiter == nil, made?.listeners.isEmpty ?? true {
            firstWaiter = waiter
        } else {
            rest.listeners.append(.waiter(waiter))
        }
    }

    /// Stale waiters in the list are removed many at a time, so each costs constant time.
    mutating func forget(_ waiter: WaiterToken, on loop: EventLoop) {
        if firstWaiter == waiter {
            firstWaiter = nil
            return
        }
        guard let rest = made else { return }
        rest.staleWaiters += 1
        guard rest.staleWaiters > 16, rest.staleWaiters * 2 > rest.listeners.count else { return }
        rest.staleWaiters = 0
        rest.listeners.removeAll { if case .waiter(let token) = $0 { !loop.isWaiting(token) } else { false } }
    }

    /// Removes a callback and returns it for the caller to release; `nil` if it is not in the list.
    mutating func removeCallback(_ number: UInt64) -> Listener? {
        guard let rest = made else { return nil }
        let index = rest.listeners.firstIndex {
            if case .callback(number, _, _) = $0 { true } else { false }
        }
        return index.map { rest.listeners.remove(at: $0) }
    }

    mutating func takeListeners() -> [Listener] {
        guard let rest = made else { return [] }
        defer { rest.listeners = [] }
        return rest.listeners
    }
}
