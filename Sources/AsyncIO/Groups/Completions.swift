/// Records the ends of several tasks, in the order in which they come, for one task that waits for them.
///
/// - Thread: the loop's.
final class Completions {
    let loop: EventLoop
    private let site: CallSite
    private(set) var ended: [Int] = []
    /// The errors of the tasks that failed, by index.
    private(set) var errors: [Int: any Error] = [:]
    /// Whether errors of tasks that end later are reported, because no task waits any more.
    var isAbandoned = false
    private var waiter: WaiterToken?
    private var hasSeenCancellation = false

    init(loop: EventLoop, site: CallSite) {
        self.loop = loop
        self.site = site
    }

    /// Starts an operation as a task of the loop, and returns a function that cancels it.
    @discardableResult
    func start(_ index: Int, name: String, eagerStart: Bool = false, _ operation: SentBody<Void>) -> () -> Void {
        let record = CreatedTask(loop: loop, name: name, site: site)
        record.whenEnded = { [self, unowned record] error in
            ended.append(index)
            errors[index] = error
            wake()
            if isAbandoned, let error { loop.reportUnread(error, of: record) }
        }
        _ = loop.startObserved(record, nil, eagerStart, operation.call)
        return { record.requestCancel() }
    }

    /// Waits for a task that was created elsewhere. If the task has ended already, it is recorded at once.
    func watch<Success: Sendable, Failure: Error>(_ index: Int, _ task: Task<Success, Failure>) {
        start(index, name: "wait", eagerStart: true, SentBody { _ = try await task.value })
    }

    /// Waits until the next task ends or ``wake()`` is called. The waiting task resumes on the loop. Returns false if
    /// it was cancelled; later calls ignore the cancellation.
    func waitForNext(_ record: TaskRecord?) async throws(EventLoopError) -> Bool {
        let token = loop.makeWaiter()
        waiter = token
        let outcome = await loop.suspend(token, record, endsWhenCancelled: !hasSeenCancellation)
        waiter = nil
        switch outcome {
        case .closed: throw .closed
        case .cancelled:
            hasSeenCancellation = true
            return false
        case .ready, .pending: return true
        }
    }

    func wake() {
        if let waiter { loop.settle(waiter, .ready) }
    }
}

/// The memory in which an operation stores its value.
///
/// - Thread: the loop's.
final class OperationValue<Value> {
    var value: Value?

    /// The value of an operation that has returned one.
    func taken() -> Value { value! }
}
