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

    /// An outcome on its way here.
    enum State {
        case pending
        case finished(Value)
        case failed(any Error)
        case cancelled
    }

    /// The loop that it belongs to.
    public let loop: EventLoop
    private let site: CallSite
    // Read and written within single statements, so the dynamic check of overlapping accesses can find nothing.
    /// All that needs no type, first, so that code for every type finds it at once.
    @exclusivity(unchecked) @usableFromInline var core = FutureCore()
    @exclusivity(unchecked) @usableFromInline var finishedValue: Value?

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
        guard let error = core.unreadError else { return }
        loop.reportLater(
            ExceptionContext(
                message: "Future exception was never retrieved", error: error, origin: site, future: "\(Self.self)"))
    }

    // MARK: The outcome

    /// Completes the future. Throws `.invalidState` if it is done already, `.closed`. asyncio: `set_result`.
    @inlinable
    public func setResult(_ value: Value) throws(EventLoopError) {
        try requirePending("Future.setResult")
        finishedValue = value
        complete(.finished)
    }

    /// Completes the future with an error. Throws `.invalidState` if it is done already, `.closed`. asyncio: `set_exception`.
    public func setException(_ error: any Error) throws(EventLoopError) {
        try requirePending("Future.setException")
        core.error = error
        complete(.failed)
    }

    /// Cancels the future, if it is pending: whoever waits gets a `CancellationError`.
    ///
    /// - Returns: whether this call cancelled it.
    @discardableResult
    public func cancel() -> Bool {
        loop.requireOnLoop("Future.cancel")
        guard core.status == .pending, !loop.isClosed else { return false }
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
            if core.status == .failed { return error }
            throw error
        }
    }

    /// Whether there is a result, an error or a cancellation. asyncio: `done`.
    public var isDone: Bool {
        loop.requireOnLoop("Future.isDone")
        return core.status != .pending
    }

    /// Whether it was cancelled. asyncio: `cancelled`.
    public var isCancelled: Bool {
        loop.requireOnLoop("Future.isCancelled")
        return core.status == .cancelled
    }

    /// The value, as soon as it is there. Any number of tasks may wait; off the loop, they hop.
    ///
    /// Throws what ``result()`` throws, and `.closed` when the loop is closed first. The cancellation of a task that waits ends
    /// its wait, not the future. A future that is done answers in a cancelled task too.
    public var value: Value {
        @inlinable
        get async throws {
            if loop.isOnLoop {
                if core.status != .pending { return try outcome() }
                if try await waitHere(#isolation) { return try outcome() }
            }
            return try await valueByHop
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
        let number = core.rest.nextCallbackNumber()
        let site = CallSite(fileID: fileID, line: line)
        if core.status == .pending {
            // SAFETY: the future passes itself.
            core.rest.listeners.append(.callback(number, site) { try body(unsafeDowncast($0, to: Future.self)) })
        } else {
            schedule(site, body)
        }
        return CallbackToken(number: number)
    }

    /// Removes a callback that was not yet scheduled. asyncio: `remove_done_callback`.
    ///
    /// - Returns: whether there was one.
    @discardableResult
    public func removeDoneCallback(_ token: CallbackToken) -> Bool {
        loop.requireOnLoop("Future.removeDoneCallback")
        // The closure is released after the list is in order again: its captures may come back here.
        let removed = core.removeCallback(token.number)
        return removed != nil
    }

    // MARK: Inside

    /// Completes the future, unless it is done. For promises, on the loop.
    func completeIfPending(_ outcome: State) {
        guard core.status == .pending else { return }
        switch outcome {
        case .pending: break
        case .finished(let value):
            finishedValue = value
            complete(.finished)
        case .failed(let error):
            core.error = error
            complete(.failed)
        case .cancelled: complete(.cancelled)
        }
    }

    /// Notifies `hook` when the future is cancelled.
    func addCancelHook(_ hook: PromiseCancellation) {
        switch core.status {
        case .pending: core.rest.cancelHooks.append(hook)
        case .cancelled: hook.cancelled()
        case .finished, .failed: break
        }
    }

    /// The value or the error is set.
    @usableFromInline
    func complete(_ status: FutureCore.Status) {
        core.status = status
        if let waiter = core.firstWaiter.take() { loop.settle(waiter, .ready) }
        if core.hasRest { notifyRest() }
    }

    private func notifyRest() {
        let (listeners, hooks) = core.takeListeners()
        for listener in listeners {
            switch listener {
            case .callback(_, let site, let body): schedule(site, body)
            case .waiter(let token): loop.settle(token, .ready)
            }
        }
        // Last: a hook may add a callback, which is the last one then.
        if core.status == .cancelled { for hook in hooks { hook.cancelled() } }
    }

    private func schedule(_ site: CallSite, _ body: @escaping (Future) throws -> Void) {
        loop.callSoon(fileID: site.fileID, line: site.line) { [self] in try body(self) }
    }

    @inlinable
    func outcome() throws -> Value {
        if core.status == .finished, let finishedValue { return finishedValue }
        throw core.takeFailure()
    }

    /// Waits until the future is done, if the current task can wait on the loop's thread.
    ///
    /// - Returns: false if it cannot. The loop's thread.
    @usableFromInline
    func waitHere(_ isolation: (any Actor)?) async throws -> Bool {
        switch loop.waitingTask(isolation) {
        case .recorded(let record): try await wait(record)
        case .home: try await wait(nil)
        case .foreign: return false
        }
        return true
    }

    @usableFromInline
    var valueByHop: Value {
        get async throws {
            try await loop.hop("value") {
                try await wait(nil)
                return try outcome()
            }
        }
    }

    private func wait(_ record: TaskRecord?) async throws {
        guard core.status == .pending else { return }
        if loop.isClosed { throw EventLoopError.closed }
        let token = loop.makeWaiter()
        core.add(token)
        let end = await loop.suspend(token, record)
        if end != .ready { core.forget(token, on: loop) }
        try loop.check(end)
    }

    @usableFromInline
    func requirePending(_ function: StaticString) throws(EventLoopError) {
        if loop.isClosed { throw .closed }
        guard loop.isOnLoop else { throw .wrongThread(function) }
        guard core.status == .pending else { throw EventLoopError(.invalidState, "the future is done already") }
    }

    private func requireThread(_ function: StaticString) throws(EventLoopError) {
        if loop.isOnLoop || (loop.isClosed && ClosedLoopThread.shared.isCurrent) { return }
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
            switch core.status {
            case .pending: "pending"
            case .finished: finishedValue.map { "finished result=\($0)" } ?? ""
            case .failed: core.error.map { "finished exception=\($0)" } ?? ""
            case .cancelled: "cancelled"
            }
        return "<Future \(text), created at \(site)>"
    }
}
