import Proactors
import Selectors
import SystemPackage

extension Errno {
    /// Whether an operation that completed with this error did nothing, so that it may be submitted again.
    var hadNoEffect: Bool { self == .resourceTemporarilyUnavailable || self == .interrupted }
}

/// One operation of a completion loop that a task waits for. A source that is not registered, because the task waits.
final class OperationWait: EventSource {
    private unowned let loop: ProactorEventLoop
    private var waiter: WaiterToken?
    private var operation: SlotID?
    private var kind = ProactorOperation.Kind.poll
    private var result: Int?

    init(on loop: ProactorEventLoop) { self.loop = loop }

    /// Suspends until the operation has completed, and returns its result or a negated `errno`. Cancelling the task
    /// cancels the operation, whose result is dropped then.
    func result(of operation: ProactorOperation, _ record: TaskRecord?) async throws -> Int {
        let token = loop.makeWaiter()
        do {
            self.operation = try loop.submit(operation, for: self)
            kind = operation.kind
        } catch {
            loop.discardWaiter(token)
            throw error
        }
        waiter = token
        let outcome = await loop.suspend(token, record)
        waiter = nil
        if let result { return result }
        // The loop may have been closed, which has ended the operation.
        if !loop.isClosed { cancel() }
        try loop.check(outcome)
        throw CancellationError()
    }

    private func cancel() { if let operation = operation.take() { loop.cancel(operation, kind) } }

    override func completed(_ completion: OperationCompletion) -> Bool {
        operation = nil
        result = completion.result
        if let waiter { loop.settle(waiter, .ready) }
        return false
    }

    /// The task fails with `.closed`.
    override func lostDescriptor() -> Interest {
        cancel()
        if let waiter { loop.settle(waiter, .closed) }
        return []
    }
}
