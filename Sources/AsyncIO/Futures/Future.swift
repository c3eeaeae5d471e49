/// A result that is not there yet. asyncio: `Future`.
///
/// ```swift
/// let answer: Future<Int> = loop.createFuture()
/// loop.callLater(after: .seconds(1)) { try answer.setResult(42) }
/// print(try await answer.value)
/// ```
///
/// It belongs to its loop: it is not `Sendable`, and all but ``value`` is for the loop's thread; what throws throws
/// `.wrongThread` elsewhere. Other threads complete it by a ``Promise``. An error that nobody has read when the future is
/// released goes to the loop's exception handler.
public final class Future<Value> {
    /// Names a done-callback, to remove it.
    public struct CallbackToken: Hashable, Sendable {
        fileprivate let number: UInt64
    }

    enum State {
        case pending
        case finished(Value)
        case failed(any Error)
        case cancelled
    }

    /// Who is told of the end, in the order in which they came.
    private enum Listener {
        case callback(CallbackToken, CallSite, (Future) throws -> Void)
        case waiter(WaiterToken)
    }

    /// The loop that it belongs to.
    public let loop: EventLoop
    private let site: CallSite
    private var state = State.pending
    private var listeners: [Listener] = []
    private var callbackCount: UInt64 = 0
    /// How many of the listeners are waiters that wait no more.
    private var staleWaiters = 0
    private var cancelHooks: [PromiseCancellation] = []
    private var wasRead = false

    /// A pending future of `loop`. Any thread.
    public init(loop: EventLoop, fileID: StaticString = #fileID, line: UInt = #line) {
        self.loop = loop
        site = CallSite(fileID: fileID, line: line)
    }

    /// A pending future of the running loop. Throws `.notRunning` if there is none.
    public convenience init(fileID: StaticString = #fileID, line: UInt = #line) throws(EventLoopError) {
        self.init(loop: try getRunningLoop(), fileID: fileID, line: line)
    }

    deinit {
        // On any thread, at any moment: the handler is called later, by the loop.
        guard case .failed(let error) = state, !wasRead else { return }
        loop.reportLater(
            ExceptionContext(
                message: "Future exception was never retrieved", error: error, origin: site, future: "\(Self.self)"))
    }

    // MARK: The outcome

    /// Completes the future. Throws `.invalidState` if it is done already, `.closed`. asyncio: `set_result`.
    public func setResult(_ value: Value) throws(EventLoopError) {
        try requirePending("Future.setResult")
        complete(.finished(value))
    }

    /// Completes the future with an error. Throws `.invalidState` if it is done already, `.closed`. asyncio: `set_exception`.
    public func setException(_ error: any Error) throws(EventLoopError) {
        try requirePending("Future.setException")
        complete(.failed(error))
    }

    /// Cancels the future, if it is pending: whoever waits gets a `CancellationError`.
    ///
    /// - Returns: whether this call cancelled it.
    @discardableResult
    public func cancel() -> Bool {
        loop.requireOnLoop("Future.cancel")
        guard case .pending = state, !loop.isClosed else { return false }
        complete(.cancelled)
        return true
    }

    /// The value. Throws the error that was set, a `CancellationError` if the future was cancelled, and `.invalidState` while
    /// it is pending.
    public func result() throws -> Value {
        try requireThread("Future.result")
        return try outcome()
    }

    /// The error that was set; `nil` if there is a value. Throws a `CancellationError` if the future was cancelled, and
    /// `.invalidState` while it is pending.
    public func exception() throws -> (any Error)? {
        try requireThread("Future.exception")
        do {
            _ = try outcome()
            return nil
        } catch {
            if case .failed = state { return error }
            throw error
        }
    }

    /// Whether there is a result, an error or a cancellation. asyncio: `done`.
    public var isDone: Bool {
        loop.requireOnLoop("Future.isDone")
        if case .pending = state { return false }
        return true
    }

    /// Whether it was cancelled. asyncio: `cancelled`.
    public var isCancelled: Bool {
        loop.requireOnLoop("Future.isCancelled")
        if case .cancelled = state { return true }
        return false
    }

    /// The value, as soon as it is there. Any number of tasks may wait; off the loop, they hop.
    ///
    /// Throws what ``result()`` throws, and `.closed` when the loop is closed first. The cancellation of a task that waits ends
    /// its wait, not the future. A future that is done answers in a cancelled task too.
    public var value: Value {
        get async throws {
            if loop.isOnLoop, isDone { return try outcome() }
            return try await loop.atHome { record in try await wait(record) }
        }
    }

    // MARK: Done-callbacks

    /// Calls `body` with the future when it is done: never at once, but by `callSoon`, also if it is done already.
    /// asyncio: `add_done_callback`.
    ///
    /// Callbacks are called, and tasks that wait go on, in the order in which they came. An error of `body` goes to the
    /// exception handler. A future that is released while it is pending, or whose loop is closed, calls nobody.
    @discardableResult
    public func addDoneCallback(
        fileID: StaticString = #fileID, line: UInt = #line, _ body: @escaping (Future<Value>) throws -> Void
    ) -> CallbackToken {
        loop.requireOnLoop("Future.addDoneCallback")
        callbackCount += 1
        let token = CallbackToken(number: callbackCount)
        let site = CallSite(fileID: fileID, line: line)
        if case .pending = state {
            listeners.append(.callback(token, site, body))
        } else {
            schedule(body, site)
        }
        return token
    }

    /// Removes a callback that was not yet scheduled. asyncio: `remove_done_callback`.
    ///
    /// - Returns: whether there was one.
    @discardableResult
    public func removeDoneCallback(_ token: CallbackToken) -> Bool {
        loop.requireOnLoop("Future.removeDoneCallback")
        let index = listeners.firstIndex {
            if case .callback(token, _, _) = $0 { true } else { false }
        }
        guard let index else { return false }
        // The closure is released after the list is in order again: its captures may come back here.
        let removed = listeners.remove(at: index)
        _ = removed
        return true
    }

    // MARK: Inside

    /// Completes the future, unless it is done. For promises, on the loop.
    func completeIfPending(_ outcome: State) {
        if case .pending = state { complete(outcome) }
    }

    /// Tells `hook` when the future is cancelled.
    func addCancelHook(_ hook: PromiseCancellation) {
        switch state {
        case .pending: cancelHooks.append(hook)
        case .cancelled: hook.cancelled()
        case .finished, .failed: break
        }
    }

    private func complete(_ outcome: State) {
        state = outcome
        let (listeners, hooks) = (self.listeners, cancelHooks)
        self.listeners = []
        cancelHooks = []
        for listener in listeners {
            switch listener {
            case .callback(_, let site, let body): schedule(body, site)
            case .waiter(let token): loop.settle(token, .ready)
            }
        }
        // Last: a hook may add a callback, which is the last one then.
        if case .cancelled = outcome { for hook in hooks { hook.cancelled() } }
    }

    private func schedule(_ body: @escaping (Future) throws -> Void, _ site: CallSite) {
        loop.callSoon(fileID: site.fileID, line: site.line) { [self] in try body(self) }
    }

    private func outcome() throws -> Value {
        switch state {
        case .pending: throw EventLoopError(.invalidState, "the future is not done")
        case .finished(let value): return value
        case .cancelled: throw CancellationError()
        case .failed(let error):
            wasRead = true
            throw error
        }
    }

    private func wait(_ record: TaskRecord?) async throws -> Value {
        if case .pending = state {
            if loop.isClosed { throw EventLoopError.closed }
            let token = loop.makeWaiter()
            listeners.append(.waiter(token))
            let end = await loop.suspend(token, record)
            if end != .ready { forgetWaiter() }
            try loop.check(end)
        }
        return try outcome()
    }

    /// A wait has ended before the future. Its place in the list is freed with others, so that each costs constant time.
    private func forgetWaiter() {
        staleWaiters += 1
        guard staleWaiters > 16, staleWaiters * 2 > listeners.count else { return }
        staleWaiters = 0
        listeners.removeAll { if case .waiter(let token) = $0 { !loop.isWaiting(token) } else { false } }
    }

    private func requirePending(_ function: StaticString) throws(EventLoopError) {
        if loop.isClosed { throw .closed }
        guard loop.isOnLoop else { throw .wrongThread(function) }
        guard case .pending = state else { throw EventLoopError(.invalidState, "the future is done already") }
    }

    private func requireThread(_ function: StaticString) throws(EventLoopError) {
        if loop.isOnLoop || (loop.isClosed && ClosedLoopThread.isCurrent) { return }
        throw .wrongThread(function)
    }
}

@available(*, unavailable, message: "a future belongs to its loop; give other threads its promise")
extension Future: Sendable {}

extension EventLoop {
    /// A pending future of this loop. Any thread. asyncio: `create_future`.
    public final func createFuture<Value>(
        of type: Value.Type = Value.self, fileID: StaticString = #fileID, line: UInt = #line
    ) -> Future<Value> {
        Future(loop: self, fileID: fileID, line: line)
    }
}

extension Future: CustomStringConvertible {
    /// Its state in words. The loop's thread.
    public var description: String {
        let text =
            switch state {
            case .pending: "pending"
            case .finished(let value): "finished result=\(value)"
            case .failed(let error): "finished exception=\(error)"
            case .cancelled: "cancelled"
            }
        return "<Future \(text) created at \(site)>"
    }
}
