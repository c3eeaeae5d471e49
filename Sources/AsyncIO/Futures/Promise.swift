import Synchronization

/// The end of a ``Future`` that other threads have: they complete it, and learn that nobody wants the result any more.
/// asyncio: `concurrent.futures.Future`, joined to the loop's by `wrap_future`.
///
/// ```swift
/// let future: Future<Int> = loop.createFuture()
/// let promise = future.makePromise()
/// startThread { try? promise.setResult(compute()) }
/// let value = try await future.value
/// ```
///
/// One outcome per promise. It reaches the future in a tick of the loop, also when it is set on the loop's thread; a future
/// that is done by then keeps what it has. A promise that is dropped without an outcome fails its future with `.abandoned`,
/// so nobody waits for ever.
public final class Promise<Value>: Sendable {
    // SAFETY: only the loop's thread looks into the future, when a message comes there.
    private let future: UncheckedSendable<Future<Value>>
    private let loop: EventLoop
    private let cancellation: PromiseCancellation
    private let isSettled = Atomic<Bool>(false)

    init(_ future: Future<Value>, _ cancellation: PromiseCancellation) {
        self.future = UncheckedSendable(value: future)
        loop = future.loop
        self.cancellation = cancellation
    }

    deinit {
        if isSettled.load(ordering: .relaxed) { return }
        let error = EventLoopError(.abandoned, "the promise of this future was dropped without a result")
        _ = loop.post(PromisedOutcome(future.value, .failed(error)))
    }

    /// Completes the future. Any thread. Throws `.invalidState` if this promise has given its outcome already, `.closed` if
    /// the loop is closed.
    public func setResult(_ value: sending Value) throws(EventLoopError) {
        try settle(.finished(value))
    }

    /// Completes the future with an error. Any thread. Throws as ``setResult(_:)``.
    public func setException(_ error: any Error) throws(EventLoopError) {
        try settle(.failed(error))
    }

    /// Cancels the future. Any thread.
    ///
    /// - Returns: false if this promise has given its outcome already, or the loop is closed.
    @discardableResult
    public func cancel() -> Bool {
        do { try settle(.cancelled) } catch { return false }
        return true
    }

    /// Whether the future was cancelled: what computes its result may stop. Any thread.
    public var isCancelled: Bool { cancellation.isCancelled }

    /// Whether this promise has given its outcome.
    var hasOutcome: Bool { isSettled.load(ordering: .relaxed) }

    private func settle(_ outcome: sending Future<Value>.State) throws(EventLoopError) {
        if isSettled.exchange(true, ordering: .relaxed) {
            throw EventLoopError(.invalidState, "the promise has given its result already")
        }
        if !loop.post(PromisedOutcome(future.value, outcome)) { throw .closed }
    }
}

extension Future {
    /// The end that another thread completes. The loop's thread.
    ///
    /// - Parameter onCancel: Called on the loop's thread when the future is cancelled; at once, if it was.
    public func makePromise(onCancel: (@Sendable () -> Void)? = nil) -> Promise<Value> {
        loop.requireOnLoop("Future.makePromise")
        let cancellation = PromiseCancellation(onCancel)
        addCancelHook(cancellation)
        return Promise(self, cancellation)
    }
}

extension Future where Value: Sendable {
    /// The future result of a Swift task. The loop's thread. asyncio: `wrap_future`.
    ///
    /// Cancelling either cancels the other: a task that ends by a `CancellationError` leaves the future cancelled, and a future
    /// that is cancelled is so at once, while the task may still come to its end.
    public convenience init<Failure>(
        _ task: Task<Value, Failure>, loop: EventLoop, fileID: StaticString = #fileID, line: UInt = #line
    ) {
        self.init(loop: loop, fileID: fileID, line: line)
        let promise = makePromise(onCancel: { task.cancel() })
        Task.detached(executorPreference: loop) {
            switch await task.result {
            case .success(let value): try? promise.setResult(value)
            case .failure(let error as CancellationError):
                _ = error
                promise.cancel()
            case .failure(let error): try? promise.setException(error)
            }
        }
    }
}

/// What a promise learns of its future's cancellation.
final class PromiseCancellation: Sendable {
    private let flag = Atomic<Bool>(false)
    private let handler: (@Sendable () -> Void)?

    init(_ handler: (@Sendable () -> Void)?) {
        self.handler = handler
    }

    var isCancelled: Bool { flag.load(ordering: .acquiring) }

    /// The loop's thread, at most once.
    func cancelled() {
        flag.store(true, ordering: .releasing)
        handler?()
    }
}

/// An outcome on its way to its future.
///
/// SAFETY: made on one thread and delivered on the loop's; the outcome was sent, and the future is touched there only.
private final class PromisedOutcome<Value>: LoopMessage, @unchecked Sendable {
    private let future: Future<Value>
    private let outcome: Future<Value>.State

    init(_ future: Future<Value>, _ outcome: Future<Value>.State) {
        self.future = future
        self.outcome = outcome
    }

    override func deliver(on loop: EventLoop) {
        future.completeIfPending(outcome)
    }
}

extension Promise: CustomStringConvertible {
    /// Such as `<Promise<Int> pending>`. Any thread.
    public var description: String {
        "<Promise<\(Value.self)> \(hasOutcome ? "done" : isCancelled ? "cancelled" : "pending")>"
    }
}
