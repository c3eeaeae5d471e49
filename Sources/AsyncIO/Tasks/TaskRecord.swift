/// What a loop keeps of a task that it started: enough to cancel it, count it, and wake it without a handler per wait.
///
/// Its fields belong to the loop's thread; only `cancel()` is called from elsewhere.
final class TaskRecord: LoopMessage, @unchecked Sendable {
    private let loop: EventLoop
    let name: String?
    /// Asks the Swift task to end. Set right after the task was made.
    var requestCancel: (@Sendable () -> Void)?

    private(set) var identity = TaskIdentity.none
    @exclusivity(unchecked) private(set) var isFinished = false
    @exclusivity(unchecked) private var isCancelled = false
    @exclusivity(unchecked) private var waiter: WaiterToken?

    init(loop: EventLoop, name: String?) {
        self.loop = loop
        self.name = name
    }

    /// The task runs its first step.
    func begin() {
        identity = .current
        loop.core.pointee.runningTasks[identity] = self
    }

    /// The task runs its last step.
    func end() {
        isFinished = true
        requestCancel = nil
        loop.core.pointee.runningTasks[identity] = nil
        loop.core.pointee.tasks[ObjectIdentifier(self)] = nil
        loop.taskEnded()
    }

    func willWait(_ token: WaiterToken) {
        waiter = token
        if isCancelled { loop.settle(token, .cancelled) }
    }

    func didWait() {
        waiter = nil
    }

    /// From the task's cancellation handler: any thread, at any time until the task ended.
    func cancel() {
        if loop.isRunningHere {
            deliver(on: loop)
        } else {
            let word = LoopWord(self)
            if !loop.inbox.post(word) { _ = word.takeMessage() }
        }
    }

    override func deliver(on loop: EventLoop) {
        isCancelled = true
        if let waiter { loop.settle(waiter, .cancelled) }
    }
}

/// A running task's identity; comparable for as long as the task lives.
struct TaskIdentity: Hashable {
    private let address: UInt

    static let none = TaskIdentity(address: 0)

    /// The task that runs now; `none` outside of tasks.
    @inline(__always)
    static var current: TaskIdentity {
        // SAFETY: the handle's one word is read as a number and not kept as a reference.
        withUnsafeCurrentTask { task in
            task.map { TaskIdentity(address: unsafeBitCast($0, to: UInt.self)) } ?? .none
        }
    }
}

extension EventLoop {
    /// Whether the current task can wait here without leaving the loop. Its record, if it has one.
    ///
    /// - Parameter isolation: The caller's, `#isolation`.
    @inline(__always)
    final func homeRecord(
        _ binding: inout TaskBinding, _ isolation: (any Actor)?
    ) -> (isHome: Bool, record: TaskRecord?) {
        if !isHome(of: isolation) { return (false, nil) }
        if let record = binding.current(on: self) { return (true, record) }
        return (isHomeOfCurrentTask, nil)
    }
}

/// Remembers the record of the task that used an object last, so that a stream looks it up once, not at every wait.
struct TaskBinding {
    private var identity = TaskIdentity.none
    private var record: TaskRecord?

    /// The record of the current task, if the loop started it.
    mutating func current(on loop: EventLoop) -> TaskRecord? {
        let current = TaskIdentity.current
        // A task that ended may have left its address to another one.
        if current == identity, let record, !record.isFinished { return record }
        identity = current
        record = loop.core.pointee.runningTasks[current]
        return record
    }
}
