import CAsyncIO

/// A loop's record of a task that it started, which cancels, counts and wakes the task without a handler per wait.
///
/// The fields are accessed within single statements, so the check for overlapping accesses is off.
/// - Thread: the loop's, unless a member says otherwise.
@usableFromInline class TaskRecord: LoopMessage, @unchecked Sendable {
    // The fields that every wait accesses come first, in one cache line.

    // SAFETY: a task retains its executor, the loop, and the record uses it only until the task has ended.
    @usableFromInline unowned(unsafe) final let loop: EventLoop
    /// Stored here because each use of ``loop`` would retain the loop.
    private final let core: UnsafeMutablePointer<LoopCore>
    /// The suspended task, while it waits without a waiter; see `beginWait()`.
    @exclusivity(unchecked) final var suspension = Suspension()
    @exclusivity(unchecked) private(set) final var identity = TaskIdentity.none
    @exclusivity(unchecked) private final var waiter: WaiterToken?
    @exclusivity(unchecked) @usableFromInline private(set) final var isFinished = false
    @exclusivity(unchecked) private(set) final var isCancelled = false
    @exclusivity(unchecked) final var wasCancelledInWait = false
    @exclusivity(unchecked) private final var hasBegun = false
    /// Whether a handler passes a cancellation of the Swift task to this record.
    @exclusivity(unchecked) private final var hasHandler = true

    @exclusivity(unchecked) private(set) final var id: UInt64 = 0
    /// The body of a time limit for whose end the task waits.
    @exclusivity(unchecked) unowned(unsafe) final var limited: TaskRecord?

    @usableFromInline init(loop: EventLoop) {
        self.loop = loop
        core = loop.core
    }

    @usableFromInline var name: String? { nil }

    /// Every subclass overrides it, so the trap is unreachable.
    var site: CallSite { fatalError("a task record has no call site") }

    func taskEnded() {}

    /// The connection of a server whose handler the task is.
    var servedConnection: AnyObject? { nil }

    /// Omits the cancellation handler, because the task that waits for this one cancels it.
    final func omitHandler() { hasHandler = false }

    /// Assigns the task's number, before a task factory gets it, or else when the task enters the table.
    final func assignID() {
        core.pointee.taskCount += 1
        id = core.pointee.taskCount
    }

    /// Called when the task exists. It may have begun or ended already.
    @usableFromInline final func started(_ task: UInt) {
        if isFinished { return }
        enterTable(TaskIdentity(address: task))
        if core.pointee.isDraining { requestCancel() }
    }

    /// Adds the task to the loop's table, if it is not there. An eager task begins before it is returned.
    private final func enterTable(_ task: TaskIdentity) {
        if identity == task { return }
        identity = task
        if id == 0 { assignID() }
        core.pointee.tasks.insert(self, task)
    }

    /// The task's first step. Installs its only cancellation handler, and returns the argument of ``end(_:)``.
    ///
    /// The body of a time limit needs no handler if a task with a record waits for it, because then only that task, the
    /// deadline, the end of the run, and the body itself can cancel it.
    @usableFromInline final func begin() -> UnsafeMutableRawPointer? {
        enterTable(.current)
        hasBegun = true
        if core.pointee.debug.isOn { core.pointee.debug.begunTask = info }
        if core.pointee.isDraining { requestCancel() }
        if !hasHandler { return nil }
        return aio_cancellation_handler_add(Unmanaged.passUnretained(self).toOpaque())
    }

    @usableFromInline final func end(_ handler: UnsafeMutableRawPointer?) {
        if let handler { aio_cancellation_handler_remove(handler) }
        isFinished = true
        core.pointee.tasks.remove(identity)
        taskEnded()
        if core.pointee.isDraining { loop.taskEnded() }
    }

    /// Cancels the Swift task, if it exists and has not ended.
    final func requestCancel() {
        if isFinished || identity == .none { return }
        identity.cancel()
        if !hasHandler { deliver(on: loop) }
    }

    /// Whether a wait has to end before it begins. This task must be the current one.
    @inline(__always) final var isCancelledNow: Bool {
        // A body without a handler may have cancelled itself.
        isCancelled || (!hasHandler && Task.isCancelled)
    }

    final var info: TaskInfo {
        let state: TaskInfo.State =
            if !hasBegun {
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

    final func willWait(_ token: WaiterToken) {
        waiter = token
        if isCancelledNow { loop.settle(token, .cancelled) }
    }

    final func didWait() { waiter = nil }

    /// Called by the task's cancellation handler, on any thread, until the task has ended.
    final func cancel() {
        if loop.isRunningHere { deliver(on: loop) } else { _ = loop.post(self) }
    }

    override final func deliver(on loop: EventLoop) {
        isCancelled = true
        if let limited { return limited.requestCancel() }
        if let waiter { loop.settle(waiter, .cancelled) }
        if !suspension.isEmpty {
            wasCancelledInWait = true
            suspension.end(on: loop)
        }
    }

    /// Makes the cancellation handlers of all tasks call their records. Called before the first task is created.
    static func installCancellation() {
        // SAFETY: a handler is removed before its record's task has ended.
        aio_cancellation_set_callback { Unmanaged<TaskRecord>.fromOpaque($0).takeUnretainedValue().cancel() }
    }
}

/// A wait that needs no waiter, because the task's record holds it. A task waits for one thing at a time. The object
/// that ends the wait does not retain the record, because the task clears the reference before it continues.
extension TaskRecord {
    /// Throws `CancellationError` if the task was cancelled before. Called on the loop, in the task.
    @inline(__always) func beginWait() throws {
        if isCancelledNow { throw CancellationError() }
    }

    /// Called when the task suspends.
    @inline(__always)
    func suspend(_ continuation: UnsafeContinuation<Void, Never>, _ isolation: (any Actor)?) {
        suspension.begin(continuation, isolation, on: loop)
    }

    /// Called when the task continues. Throws `CancellationError` if a cancellation ended the wait.
    @inline(__always) func endWait() throws {
        if wasCancelledInWait { try throwCancellation() }
    }

    @inline(never) private func throwCancellation() throws {
        wasCancelledInWait = false
        throw CancellationError()
    }
}
