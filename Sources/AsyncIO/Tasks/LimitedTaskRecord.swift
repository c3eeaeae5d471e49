import AsyncIOSystem

/// The record of the body of a time limit: the part that does not depend on the type of the result.
@usableFromInline class LimitedTaskRecord: CreatedTask, @unchecked Sendable {
    private final let deadline: LoopInstant
    /// `nil` for `withDeadline`.
    private final let duration: Duration?
    @exclusivity(unchecked) private final var hasExpired = false
    /// SAFETY: the calling task waits for the body, and its record lives at least as long as the task.
    @exclusivity(unchecked) private final var caller: Unmanaged<TaskRecord>?
    @exclusivity(unchecked) private final var callerSuspension = Suspension()

    @usableFromInline
    init(_ loop: EventLoop, _ deadline: LoopInstant, _ duration: Duration?, _ fileID: StaticString, _ line: UInt) {
        self.deadline = deadline
        self.duration = duration
        super.init(loop: loop, name: "timeout", site: CallSite(fileID: fileID, line: line))
    }

    /// Returns whether the calling task, with this isolation, can wait on the loop's thread, and finds its record.
    @usableFromInline final func findCaller(_ isolation: (any Actor)?) -> Bool {
        guard loop.isOnLoop, loop.allowsAffinity(of: isolation) else { return false }
        guard let caller = loop.core.pointee.tasks.unretained(.current) else {
            return loop.currentTaskHasAffinity
        }
        self.caller = caller
        omitHandler()
        return true
    }

    /// Waits until the task has ended, and cancels it at the deadline, or when the caller is cancelled.
    @usableFromInline
    final nonisolated(nonsending) func waitForEnd(of task: Task<Void, any Error>) async {
        var timer: SlotID?
        if deadline > loop.now {
            timer = loop.schedule(ScheduledCallback({ self.expire() }, site: site, isTimer: true), at: deadline)
        } else {
            // A timer would only fire after the suspension of an iteration.
            expire()
        }
        defer { if let timer { loop.cancelCallback(timer) } }
        if let caller = caller?.takeUnretainedValue() {
            // The caller's cancellation handler cancels this task.
            caller.limited = self
            if caller.isCancelled { requestCancel() }
            await waitForEnd()
            caller.limited = nil
        } else {
            await withTaskCancellationHandler {
                await waitForEnd()
            } onCancel: {
                task.cancel()
            }
        }
    }

    /// Suspends the current task, which resumes on the loop, until this one has ended, despite a cancellation.
    private final nonisolated(nonsending) func waitForEnd() async {
        if isFinished { return }
        let isolation = #isolation
        await suspendInPlace { callerSuspension.begin($0, isolation, on: loop) }
    }

    final override func taskEnded() { callerSuspension.end(on: loop) }

    private final func expire() {
        hasExpired = true
        requestCancel()
    }

    /// Returns the error that the body's caller throws, or `nil` if there is none.
    @usableFromInline final func limitError() -> (any Error)? {
        guard let error = error.take() else { return nil }
        guard hasExpired, !Task.isCancelled, error is CancellationError else { return error }
        guard let duration else { return EventLoopError.timedOut("before its deadline", "withDeadline", site) }
        return EventLoopError.timedOut("within \(duration)", "withTimeout", site)
    }
}
