import Proactors
import SystemPackage

/// One operation of a completion loop that a task waits for.
final class OperationWait: EventSource {
    private unowned let loop: ProactorEventLoop
    private var waiter: WaiterToken?
    private var result: Int?

    init(on loop: ProactorEventLoop) {
        self.loop = loop
    }

    override var label: String { "an operation that a task waits for" }

    override var isLeftOpen: Bool { false }

    /// Suspends until the operation has completed. Cancelling the task cancels the operation, whose result is dropped
    /// then.
    ///
    /// - Returns: The result, or a negated `errno`.
    func result(of operation: ProactorOperation, _ record: TaskRecord?) async throws -> Int {
        let token = loop.makeWaiter()
        let id: SlotID
        do {
            id = try loop.submit(operation, for: self)
        } catch {
            loop.discardWaiter(token)
            throw error
        }
        waiter = token
        _ = loop.register(self)
        defer { loop.unregister(self) }
        let outcome = await loop.suspend(token, record)
        waiter = nil
        if let result { return result }
        // The loop may have been closed, which has ended the operation.
        if !loop.isClosed { loop.cancel(id) }
        try loop.check(outcome)
        throw CancellationError()
    }

    override func completed(_ completion: OperationCompletion) {
        result = completion.result
        loop.queue(self)
    }

    override func run() -> UnownedJob? {
        waiter.flatMap { loop.settleReturningJob($0) }
    }
}
