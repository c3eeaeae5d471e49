/// What a future is without its value: a structure that knows no type, so that its code is compiled once and not generic.
///
/// A future with one task that waits needs no memory but its own.
@usableFromInline
struct FutureCore {
    @usableFromInline
    enum Status: UInt8 {
        case pending, finished, failed, cancelled
    }

    /// Who is notified of the completion.
    enum Listener {
        /// Gets the future. By number, for its removal.
        case callback(UInt64, CallSite, (AnyObject) throws -> Void)
        case waiter(WaiterToken)
    }

    /// What few futures have.
    final class Rest {
        /// In the order in which they came.
        var listeners: [Listener] = []
        /// How many of them are waiters that wait no more.
        var staleWaiters = 0
        var cancelHooks: [PromiseCancellation] = []
        private var callbackCount: UInt64 = 0

        func nextCallbackNumber() -> UInt64 {
            callbackCount += 1
            return callbackCount
        }
    }

    @usableFromInline var status = Status.pending
    private var wasRead = false
    var error: (any Error)?
    /// The waiter that came before all other listeners.
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

    /// The error that nobody has read.
    var unreadError: (any Error)? { status == .failed && !wasRead ? error : nil }

    /// What a reader of the value is thrown, who has read it then.
    @usableFromInline
    mutating func takeFailure() -> any Error {
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

    /// A wait has ended before the future. Its place in the list is freed with others, so that each costs constant time.
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

    /// Takes a callback out of the list, for the caller to release; `nil` if it is not there.
    mutating func removeCallback(_ number: UInt64) -> Listener? {
        guard let rest = made else { return nil }
        let index = rest.listeners.firstIndex {
            if case .callback(number, _, _) = $0 { true } else { false }
        }
        return index.map { rest.listeners.remove(at: $0) }
    }

    mutating func takeListeners() -> ([Listener], [PromiseCancellation]) {
        guard let rest = made else { return ([], []) }
        let taken = (rest.listeners, rest.cancelHooks)
        rest.listeners = []
        rest.cancelHooks = []
        return taken
    }
}
