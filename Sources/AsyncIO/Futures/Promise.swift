import Synchronization

/// The part of a ``Future`` that other threads use: they complete the future, and can see whether it was cancelled.
/// asyncio: `concurrent.futures.Future`, joined to the loop's future by `wrap_future`.
///
/// ```swift
/// let future: Future<Int> = loop.createFuture()
/// let promise = future.makePromise()
/// startThread { try? promise.setResult(compute()) }
/// let value = try await future.value
/// ```
///
/// A promise has one outcome. It reaches the future in an iteration of the loop, also when it is set on the loop's
/// thread. A future that is already done by then does not change. A promise that is released without an outcome fails
/// its future with `.brokenPromise`.
///
/// - Thread: any.
public final class Promise<Value>: Sendable, CustomStringConvertible {
    // SAFETY: other threads access only the future's loop and an atomic flag of the future.
    private let shared: UncheckedSendable<Future<Value>>
    private let hasOutcome = Atomic<Bool>(false)

    fileprivate init(_ future: Future<Value>) { shared = UncheckedSendable(value: future) }

    private var future: Future<Value> { shared.value }

    deinit {
        if hasOutcome.load(ordering: .relaxed) { return }
        let error = EventLoopError(.brokenPromise, "the promise was released without a result")
        _ = future.loop.post(PromisedOutcome(future, .failed(error)))
    }

    /// Completes the future. Throws `.invalidState` if this promise has an outcome already, and `.closed`.
    public func setResult(_ value: sending Value) throws(EventLoopError) { try settle(.finished(value)) }

    /// Completes the future with an error. Throws as ``setResult(_:)`` does.
    public func setException(_ error: any Error) throws(EventLoopError) { try settle(.failed(error)) }

    /// Cancels the future. Returns false if this promise already has an outcome, or the loop is closed.
    @discardableResult public func cancel() -> Bool {
        do { try settle(.cancelled) } catch { return false }
        return true
    }

    /// Whether the future was cancelled, so that its result is no longer needed.
    public var isCancelled: Bool { future.core.wasCancelled.load(ordering: .acquiring) }

    private func settle(_ outcome: sending PromisedOutcome<Value>.Outcome) throws(EventLoopError) {
        if hasOutcome.exchange(true, ordering: .relaxed) {
            throw EventLoopError(.invalidState, "the promise already has a result")
        }
        if !future.loop.post(PromisedOutcome(future, outcome)) { throw .closed }
    }

    /// Such as `<Promise<Int> pending>`.
    public var description: String {
        let isDone = hasOutcome.load(ordering: .relaxed)
        return "<Promise<\(Value.self)> \(isDone ? "done" : isCancelled ? "cancelled" : "pending")>"
    }
}

extension Future {
    /// Creates a promise, with which another thread can complete the future. `onCancel` is called on the loop's thread
    /// when the future is cancelled, or at once if it was cancelled already.
    public func makePromise(onCancel: (@Sendable () -> Void)? = nil) -> Promise<Value> {
        loop.requireOnLoop("Future.makePromise")
        if let onCancel {
            switch core.status {
            case .pending: core.rest.listeners.append(.cancellation(onCancel))
            case .cancelled: onCancel()
            case .finished, .failed: break
            }
        }
        return Promise(self)
    }
}

extension Future where Value: Sendable {
    /// Creates a future for the result of a Swift task. asyncio: `wrap_future`.
    ///
    /// Cancelling one of them cancels the other. If the task throws a `CancellationError`, the future is cancelled. A
    /// cancelled future is done at once, while the task may still run to its end.
    public convenience init<Failure>(
        _ task: Task<Value, Failure>, loop: EventLoop, fileID: StaticString = #fileID, line: UInt = #line
    ) {
        self.init(loop: loop, fileID: fileID, line: line)
        let promise = makePromise(onCancel: { task.cancel() })
        Task.detached(executorPreference: loop) {
            switch await task.result {
            case .success(let value): try? promise.setResult(value)
            case .failure(let error) where error is CancellationError: promise.cancel()
            case .failure(let error): try? promise.setException(error)
            }
        }
    }
}

/// SAFETY: the outcome was sent to the loop's thread, and only that thread accesses the future.
private final class PromisedOutcome<Value>: LoopMessage, @unchecked Sendable {
    enum Outcome {
        case finished(Value)
        case failed(any Error)
        case cancelled
    }

    private let future: Future<Value>
    private let outcome: Outcome

    init(_ future: Future<Value>, _ outcome: Outcome) {
        self.future = future
        self.outcome = outcome
    }

    override func deliver(on loop: EventLoop) {
        switch outcome {
        case .finished(let value): try? future.setResult(value)
        case .failed(let error): try? future.setException(error)
        case .cancelled: future.cancel()
        }
    }
}
