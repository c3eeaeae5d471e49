import CAsyncIO

/// What a loop keeps of a task that it started: enough to cancel it, count it, and wake it without a handler per wait.
///
/// Its fields belong to the loop's thread; only `cancel()` is called from elsewhere. They are read and written within
/// single statements, so the dynamic check of overlapping accesses can find nothing and is off.
@usableFromInline
class TaskRecord: LoopMessage, @unchecked Sendable {
    // What every wait touches comes first, in one cache line.

    // SAFETY: a task retains its executor, the loop, and the record uses it until the task has ended.
    unowned(unsafe) final let loop: EventLoop
    /// The loop's, since a use of ``loop`` retains it.
    private final let core: UnsafeMutablePointer<LoopCore>
    /// The task, while it waits without a waiter: see `beginWait()`.
    @exclusivity(unchecked) final var suspension = Suspension()
    @exclusivity(unchecked) private(set) final var identity = TaskIdentity.none
    @exclusivity(unchecked) @usableFromInline private(set) final var isFinished = false
    @exclusivity(unchecked) private(set) final var isCancelled = false
    @exclusivity(unchecked) final var wasCancelledInWait = false
    @exclusivity(unchecked) private final var hasBegun = false
    /// Whether a cancellation of the Swift task comes here by itself.
    @exclusivity(unchecked) private final var hasHandler = true
    @exclusivity(unchecked) private final var waiter = StoredName()

    /// Counted by the loop, from 1 on.
    @exclusivity(unchecked) private(set) final var id: UInt64 = 0
    /// The body of a time limit for whose end the task waits.
    @exclusivity(unchecked) unowned(unsafe) final var limited: TaskRecord?

    /// Its neighbours in the loop's list of tasks.
    @exclusivity(unchecked) final var next: Unmanaged<TaskRecord>?
    @exclusivity(unchecked) final var previous: Unmanaged<TaskRecord>?

    @usableFromInline
    init(loop: EventLoop) {
        self.loop = loop
        core = loop.core
    }

    /// For reports.
    @usableFromInline var name: String? { nil }

    /// Where the task was created. Every subclass overrides it, so the trap is out of reach.
    var site: CallSite { fatalError("a task record has no call site") }

    /// Called when the task has ended.
    func taskEnded() {}

    /// Does without a cancellation handler, because the task that waits for this one cancels it.
    final func omitHandler() {
        hasHandler = false
    }

    /// Gives the task its number. The loop's thread, once.
    @usableFromInline
    final func assignID() {
        core.pointee.taskCount += 1
        id = core.pointee.taskCount
    }

    /// The loop keeps the task from here on.
    @usableFromInline
    final func register() {
        core.pointee.tasks.append(self)
    }

    /// The task exists, and may have begun or ended already.
    ///
    /// - Parameter task: Its address.
    @usableFromInline
    final func started(_ task: UInt) {
        if isFinished { return }
        identity = TaskIdentity(address: task)
        if core.pointee.isDraining { requestCancel() }
    }

    /// The task's first step. Installs its one cancellation handler: its waits need none of their own.
    ///
    /// The body of a time limit needs not even that one, if a task with a record waits for it: then all that can cancel
    /// it is that task, the deadline, the end of the run, and the body itself.
    ///
    /// - Returns: what ``end(_:)`` takes.
    @usableFromInline
    final func begin() -> UnsafeMutableRawPointer? {
        identity = .current
        hasBegun = true
        core.pointee.runningTasks.insert(self, identity)
        if core.pointee.debug.isOn { core.pointee.debug.begunTask = info }
        if core.pointee.isDraining { requestCancel() }
        if !hasHandler { return nil }
        return aio_cancellation_handler_add(Unmanaged.passUnretained(self).toOpaque())
    }

    /// The task's last step.
    @usableFromInline
    final func end(_ handler: UnsafeMutableRawPointer?) {
        if let handler { aio_cancellation_handler_remove(handler) }
        isFinished = true
        core.pointee.runningTasks.remove(identity)
        core.pointee.tasks.remove(self)
        taskEnded()
        if core.pointee.isDraining { loop.taskEnded() }
    }

    /// Cancels the Swift task, if it exists and has not ended. The loop's thread.
    final func requestCancel() {
        if isFinished || identity == .none { return }
        identity.cancel()
        if !hasHandler { deliver(on: loop) }
    }

    /// Whether a wait is to end before it begins. The current task is this one.
    @inline(__always)
    final var isCancelledNow: Bool {
        // A body without a handler may have cancelled itself.
        isCancelled || (!hasHandler && Task.isCancelled)
    }

    /// What can be said of the task now. The loop's thread.
    final var info: TaskInfo {
        let state: TaskInfo.State =
            if !hasBegun {
                .created
            } else if identity == .current {
                .running
            } else if waiter.name != nil || !suspension.isEmpty {
                .waiting
            } else {
                .suspended
            }
        return TaskInfo(id: id, name: name, state: state, isCancelled: isCancelled, createdAt: site)
    }

    final func willWait(_ token: WaiterToken) {
        waiter.name = token
        if isCancelledNow { loop.settle(token, .cancelled) }
    }

    final func didWait() {
        waiter.name = nil
    }

    /// From the task's cancellation handler: any thread, at any time until the task ended.
    final func cancel() {
        if loop.isRunningHere {
            deliver(on: loop)
        } else {
            let word = LoopWord(self)
            if !loop.inbox.post(word) { _ = word.takeMessage() }
        }
    }

    override final func deliver(on loop: EventLoop) {
        isCancelled = true
        if let limited { return limited.requestCancel() }
        if let waiter = waiter.name { loop.settle(waiter, .cancelled) }
        if !suspension.isEmpty {
            wasCancelledInWait = true
            suspension.end(on: loop)
        }
    }

    /// Makes the cancellation handlers of all tasks call their records. Before the first task.
    static func installCancellation() {
        // SAFETY: a handler is removed before its record's task has ended.
        aio_cancellation_set_callback { Unmanaged<TaskRecord>.fromOpaque($0).takeUnretainedValue().cancel() }
    }
}
