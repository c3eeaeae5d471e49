import CAsyncIO

/// What a loop keeps of a task that it started: enough to cancel it, count it, and wake it without a handler per wait.
///
/// Its fields belong to the loop's thread; only `cancel()` is called from elsewhere.
final class TaskRecord: LoopMessage, @unchecked Sendable {
    let loop: EventLoop
    let name: String?
    let site: CallSite
    /// Counted by the loop, from 1 on.
    private(set) var id: UInt64 = 0
    /// Asks the Swift task to end. Set right after the task was made.
    var requestCancel: (@Sendable () -> Void)?
    /// Is told of the task's end, and of the error it ended with, in the loop's place.
    var whenEnded: (((any Error)?) -> Void)?

    private(set) var identity = TaskIdentity.none
    @exclusivity(unchecked) private(set) var isFinished = false
    @exclusivity(unchecked) private(set) var isCancelled = false
    @exclusivity(unchecked) private var waiter: WaiterToken?
    /// The task, while it waits without a waiter: see `beginWait()`.
    @exclusivity(unchecked) var suspension = Suspension()
    @exclusivity(unchecked) var wasCancelledInWait = false

    init(loop: EventLoop, name: String?, site: CallSite) {
        self.loop = loop
        self.name = name
        self.site = site
    }

    /// Gives the task its number. The loop's thread, once.
    func assignID() {
        loop.core.pointee.taskCount += 1
        id = loop.core.pointee.taskCount
    }

    /// The loop keeps the task from here on.
    func register() {
        loop.core.pointee.tasks[ObjectIdentifier(self)] = self
    }

    /// The task, from its first step to its last.
    @concurrent
    func run<Success>(_ operation: SentBody<Success>) async throws -> Success {
        begin()
        do {
            // The task's one cancellation handler: its waits need none of their own.
            let value = try await withTaskCancellationHandler(operation: operation.call) { cancel() }
            end(nil)
            return value
        } catch {
            end(error)
            throw error
        }
    }

    /// As the other, for a task that cannot fail.
    @concurrent
    func run<Success>(_ operation: SentValueBody<Success>) async -> Success {
        begin()
        let value = await withTaskCancellationHandler(operation: operation.call) { cancel() }
        end(nil)
        return value
    }

    private func begin() {
        identity = .current
        loop.core.pointee.runningTasks[identity] = self
        if loop.core.pointee.debug.isOn { loop.core.pointee.debug.begunTask = info }
    }

    private func end(_ error: (any Error)?) {
        isFinished = true
        requestCancel = nil
        loop.core.pointee.runningTasks[identity] = nil
        loop.core.pointee.tasks[ObjectIdentifier(self)] = nil
        if let whenEnded = whenEnded.take() {
            whenEnded(error)
        } else if let error, loop.core.pointee.isDraining {
            // Whoever would await it may be gone.
            loop.reportUnread(error, of: self)
        }
        loop.taskEnded()
    }

    /// What can be said of the task now. The loop's thread.
    var info: TaskInfo {
        let state: TaskInfo.State =
            if identity == .none {
                .created
            } else if identity == .current {
                .running
            } else if waiter != nil || !suspension.isEmpty {
                .waiting
            } else {
                .suspended
            }
        return TaskInfo(id: id, name: name, state: state, isCancelled: isCancelled, createdAt: site)
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
        if !suspension.isEmpty {
            wasCancelledInWait = true
            suspension.end(on: loop)
        }
    }
}

/// A running task's identity; comparable for as long as the task lives.
struct TaskIdentity: Hashable {
    private let address: UInt

    static let none = TaskIdentity(address: 0)

    private init(address: UInt) {
        self.address = address
    }

    /// The task that a job is of; a continuation's word has the same form.
    init(of job: UnownedJob) {
        // SAFETY: a task is its own job. The word is read as a number and not kept as a reference.
        address = unsafeBitCast(job, to: UInt.self)
    }

    /// The task that runs now; `none` outside of tasks.
    @inline(__always)
    static var current: TaskIdentity {
        TaskIdentity(address: UInt(bitPattern: aio_current_task()))
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
        if let record = binding.current(on: self) { return (true, record.takeUnretainedValue()) }
        return (isHomeOfCurrentTask, nil)
    }

    /// As ``homeRecord(_:_:)``, without retaining the record.
    ///
    /// SAFETY: the current task's first frame holds it, so it lives as long as the task.
    @inline(__always)
    final func unretainedHomeRecord(
        _ binding: inout TaskBinding, _ isolation: (any Actor)?
    ) -> (isHome: Bool, record: Unmanaged<TaskRecord>?) {
        if !isHome(of: isolation) { return (false, nil) }
        if let record = binding.current(on: self) { return (true, record) }
        return (isHomeOfCurrentTask, nil)
    }
}

/// Remembers the record of the task that used an object last, so that a stream looks it up once, not at every wait.
struct TaskBinding: ~Copyable {
    private var identity = TaskIdentity.none
    private var record = Retained<TaskRecord>(nil)

    /// The record of the current task, if the loop started it.
    @inline(__always)
    mutating func current(on loop: EventLoop) -> Unmanaged<TaskRecord>? {
        let current = TaskIdentity.current
        // A task that ended may have left its address to another one.
        if current == identity, let record = record.unretained,
            record._withUnsafeGuaranteedRef({ !$0.isFinished })
        {
            return record
        }
        return bind(to: current, on: loop)
    }

    @inline(never)
    private mutating func bind(to current: TaskIdentity, on loop: EventLoop) -> Unmanaged<TaskRecord>? {
        identity = current
        record.replace(by: loop.core.pointee.runningTasks[current])
        return record.unretained
    }
}
