import Synchronization

/// A result that is set later. asyncio: `Future`.
///
/// ```swift
/// let answer: Future<Int> = loop.createFuture()
/// loop.callLater(after: .seconds(1)) { try answer.setResult(42) }
/// print(try await answer.value)
/// ```
///
/// A future is not `Sendable`. Other threads complete it through a ``Promise``. If the future failed and its error was
/// never retrieved, the loop's exception handler gets the error when the future is released.
///
/// - Thread: the loop's, except for creating a future and for ``value``. Functions that can throw throw `.wrongThread`
///   elsewhere.
public final class Future<Value>: CustomStringConvertible {
    /// Identifies a done-callback, so that it can be removed.
    public struct CallbackToken: Hashable, Sendable { fileprivate let number: UInt64 }

    /// The loop that the future belongs to.
    public let loop: EventLoop
    private let site: CallSite
    // Each of these is accessed within one statement, so the dynamic check for overlapping accesses could find nothing.
    // `core` is first, so that it has the same offset for every type.
    @exclusivity(unchecked) @usableFromInline var core = FutureCore()
    @exclusivity(unchecked) @usableFromInline var finishedValue: Value?

    /// Creates a pending future of the running loop, or throws `.notRunning`; see
    /// ``EventLoop/createFuture(of:fileID:line:)``.
    public convenience init(fileID: StaticString = #fileID, line: UInt = #line) throws(EventLoopError) {
        self.init(loop: try getRunningLoop(), fileID: fileID, line: line)
    }

    @usableFromInline init(loop: EventLoop, fileID: StaticString, line: UInt) {
        self.loop = loop
        site = CallSite(fileID: fileID, line: line)
    }

    deinit {
        // This may run on any thread at any moment, so the loop calls the handler later.
        guard let error = core.unreadError else { return }
        loop.reportLater(
            ExceptionContext(
                message: "Future exception was never retrieved", error: error, origin: site, future: "\(Self.self)"))
    }

    // MARK: The outcome

    /// Completes the future. Throws `.invalidState` if it is already done, and `.closed`. asyncio: `set_result`.
    @inlinable public func setResult(_ value: Value) throws(EventLoopError) {
        try requirePending("Future.setResult")
        finishedValue = value
        complete(.finished)
    }

    /// Completes the future with an error. Throws as ``setResult(_:)`` does. asyncio: `set_exception`.
    public func setException(_ error: any Error) throws(EventLoopError) {
        try requirePending("Future.setException")
        core.error = error
        complete(.failed)
    }

    /// Cancels the future if it is pending, and returns whether it was. Waiting tasks get a `CancellationError`.
    @discardableResult public func cancel() -> Bool {
        loop.requireOnLoop("Future.cancel")
        guard core.status == .pending, !loop.isClosed else { return false }
        core.wasCancelled.store(true, ordering: .releasing)
        complete(.cancelled)
        return true
    }

    /// Returns the value. Throws the error that was set, a `CancellationError` if the future was cancelled, and
    /// `.invalidState` while it is pending. asyncio: `result`.
    public func result() throws -> Value {
        try requireThread("Future.result")
        return try outcome()
    }

    /// Returns the error that was set, or `nil` for a value. Otherwise throws as ``result()`` does. asyncio:
    /// `exception`.
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

    /// Whether the future has a value or an error, or was cancelled. asyncio: `done`.
    public var isDone: Bool {
        loop.requireOnLoop("Future.isDone")
        return core.status != .pending
    }

    /// Whether the future was cancelled. asyncio: `cancelled`.
    public var isCancelled: Bool {
        loop.requireOnLoop("Future.isCancelled")
        return core.status == .cancelled
    }

    /// The value, as soon as it is set. Any number of tasks may wait for it; tasks off the loop hop.
    ///
    /// Throws what ``result()`` throws, and `.closed` if the loop is closed first. Cancelling a task that waits does
    /// not cancel the future. A completed future returns its result even in a cancelled task.
    public var value: Value {
        @inlinable get async throws {
            if loop.isOnLoop {
                if core.status != .pending { return try outcome() }
                if try await waitHere(#isolation) { return try outcome() }
            }
            return try await valueByHop
        }
    }

    // MARK: Done-callbacks

    /// Schedules `body` with `callSoon` when the future is done, also if it is already. asyncio: `add_done_callback`.
    ///
    /// Callbacks run, and waiting tasks continue, in the order in which they were added. An error that `body` throws
    /// goes to the exception handler. If the future is released first, or its loop closed, `body` is never called.
    @discardableResult
    public func addDoneCallback(
        fileID: StaticString = #fileID, line: UInt = #line, _ body: @escaping (Future<Value>) throws -> Void
    ) -> CallbackToken {
        loop.requireOnLoop("Future.addDoneCallback")
        let rest = core.rest
        rest.callbackCount += 1
        let site = CallSite(fileID: fileID, line: line)
        if core.status == .pending {
            // SAFETY: the future passes itself.
            rest.listeners.append(.callback(rest.callbackCount, site) { try body(unsafeDowncast($0, to: Future.self)) })
        } else {
            schedule(site, body)
        }
        return CallbackToken(number: rest.callbackCount)
    }

    /// Removes a callback that is not scheduled yet. Returns whether it was found. asyncio: `remove_done_callback`.
    @discardableResult public func removeDoneCallback(_ token: CallbackToken) -> Bool {
        loop.requireOnLoop("Future.removeDoneCallback")
        // The closure is released when the list is consistent again, because its captures may call this function.
        let removed = core.removeCallback(token.number)
        return removed != nil
    }

    // MARK: Internals

    @usableFromInline func complete(_ status: FutureCore.Status) {
        core.status = status
        if let waiter = core.firstWaiter.take() { loop.settle(waiter, .ready) }
        if core.hasRest { notifyRest() }
    }

    private func notifyRest() {
        let listeners = core.takeListeners()
        for listener in listeners {
            switch listener {
            case .callback(_, let site, let body): schedule(site, body)
            case .waiter(let token): loop.settle(token, .ready)
            case .cancellation: break
            }
        }
        guard core.status == .cancelled else { return }
        // Last, because these closures may add a callback, which then has to be the last one.
        for case .cancellation(let body) in listeners { body() }
    }

    private func schedule(_ site: CallSite, _ body: @escaping (Future) throws -> Void) {
        loop.callSoon(fileID: site.fileID, line: site.line) { [self] in try body(self) }
    }

    @inlinable func outcome() throws -> Value {
        if core.status == .finished, let finishedValue { return finishedValue }
        throw core.takeFailure()
    }

    /// Waits until the future is done. Returns false if the current task cannot wait on the loop's thread.
    @usableFromInline func waitHere(_ isolation: (any Actor)?) async throws -> Bool {
        let (hasAffinity, record) = loop.affinityRecord(isolation)
        if hasAffinity { try await wait(record) }
        return hasAffinity
    }

    @usableFromInline var valueByHop: Value {
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

    @usableFromInline func requirePending(_ function: StaticString) throws(EventLoopError) {
        if loop.isClosed { throw .closed }
        guard loop.isOnLoop else { throw .wrongThread(function) }
        guard core.status == .pending else { throw EventLoopError(.invalidState, "the future is already done") }
    }

    private func requireThread(_ function: StaticString) throws(EventLoopError) {
        if loop.isOnLoop || (loop.isClosed && ClosedLoopThread.shared.isCurrent) { return }
        throw .wrongThread(function)
    }

    /// The state of the future, and where it was created.
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

@available(*, unavailable, message: "a future belongs to its loop; give other threads its promise")
extension Future: Sendable {}

extension EventLoop {
    /// Creates a pending future of this loop, on any thread. asyncio: `create_future`.
    // Compiled in the caller's module, where the type of the value is known.
    @inlinable
    public final func createFuture<Value>(
        of type: Value.Type = Value.self, fileID: StaticString = #fileID, line: UInt = #line
    ) -> Future<Value> { Future(loop: self, fileID: fileID, line: line) }
}
