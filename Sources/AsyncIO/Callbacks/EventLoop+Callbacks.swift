public import AsyncIOSystem
import Synchronization

extension EventLoop {
    /// Schedules `body` for the next iteration, after everything that was scheduled before it. asyncio: `call_soon`.
    ///
    /// An error that `body` throws goes to the exception handler. On a closed loop nothing is scheduled, which is
    /// reported once. The callback does not inherit task-local values; a task of
    /// ``createTask(name:priority:eagerStart:fileID:line:_:)->Task<Success,Error>`` does.
    @discardableResult
    public final func callSoon(
        fileID: StaticString = #fileID, line: UInt = #line, _ body: consuming @escaping () throws -> Void
    ) -> Handle {
        if !isRunningHere {
            requireOnLoop("callSoon")
            // Between two runs, earlier submissions are queued first, so that this thread's callbacks run in order.
            takeWholeInbox()
        }
        if isClosed { return Handle(loop: self, id: staleID("callSoon")) }
        let id = core.pointee.callbacks.insert(
            ScheduledCallback(body, site: CallSite(fileID: fileID, line: line), isTimer: false))
        core.pointee.ready.push(LoopWord(.callback, id))
        return Handle(loop: self, id: id)
    }

    /// Schedules `body` on the loop's thread, and wakes the loop if it is waiting. asyncio: `call_soon_threadsafe`.
    ///
    /// Callbacks that one thread submits run in the order of submission. One iteration runs at most 1,024 callbacks of
    /// other threads, so that a burst does not delay timers and connections. Throws `.closed` on a closed loop.
    ///
    /// - Thread: any.
    @discardableResult
    public final func callSoonThreadsafe(
        fileID: StaticString = #fileID, line: UInt = #line, _ body: sending @escaping () throws -> Void
    ) throws(EventLoopError) -> ThreadsafeHandle {
        let message = CallbackMessage(body, site: CallSite(fileID: fileID, line: line))
        if isClosed || !post(message) { throw .closed }
        return ThreadsafeHandle(message: message)
    }

    /// Schedules `body` to run after `delay`, never earlier. asyncio: `call_later`.
    ///
    /// A delay of zero or less means the next iteration. Equal deadlines run in the order in which they were scheduled.
    @discardableResult
    public final func callLater(
        after delay: Duration, fileID: StaticString = #fileID, line: UInt = #line,
        _ body: consuming @escaping () throws -> Void
    ) -> TimerHandle {
        makeTimer("callLater", now.advanced(by: delay), CallSite(fileID: fileID, line: line), body)
    }

    /// Schedules `body` to run when the loop's clock has reached `deadline`, never earlier. asyncio: `call_at`, which
    /// also runs timers that are due within one ``EventLoopClock/resolution``. That is not needed here, because a wait
    /// has nanosecond precision or is rounded up, so the loop does not spin before a deadline.
    @discardableResult
    public final func callAt(
        _ deadline: LoopInstant, fileID: StaticString = #fileID, line: UInt = #line,
        _ body: consuming @escaping () throws -> Void
    ) -> TimerHandle { makeTimer("callAt", deadline, CallSite(fileID: fileID, line: line), body) }

    @inline(__always)
    private final func makeTimer(
        _ function: StaticString, _ deadline: LoopInstant, _ site: CallSite,
        _ body: consuming @escaping () throws -> Void
    ) -> TimerHandle {
        requireOnLoop(function)
        let id =
            isClosed
            ? staleID(function) : schedule(ScheduledCallback(body, site: site, isTimer: true), at: deadline)
        return TimerHandle(loop: self, id: id, deadline: deadline)
    }

    /// The current instant of the loop's clock, on any thread. asyncio: `time()`.
    public final var now: LoopInstant { clockSource.now }

    @inline(__always)
    final func schedule(_ callback: consuming ScheduledCallback, at deadline: LoopInstant) -> SlotID {
        let id = core.pointee.callbacks.insert(callback)
        core.pointee.timers.insert(deadline: deadline, id: id)
        return id
    }

    /// Returns whether the callback was pending.
    @discardableResult
    @inline(__always) final func cancelCallback(_ id: SlotID) -> Bool {
        requireOnLoop("cancel")
        // The closure is released last, when the slab and the heap are consistent again.
        guard core.pointee.callbacks.contains(id) else { return false }
        let callback = core.pointee.callbacks.take(id)
        withExtendedLifetime(callback) {
            guard callback.isTimer, !core.pointee.timers.removeIfLast(id) else { return }
            core.pointee.timers.cancelled { core.pointee.callbacks.contains($0) }
        }
        return true
    }

    final func isPending(_ id: SlotID) -> Bool {
        requireOnLoop("isPending")
        return core.pointee.callbacks.contains(id)
    }

    /// Returns a stale id, for the handle of a callback that a closed loop does not accept.
    @inline(never) private final func staleID(_ function: StaticString) -> SlotID {
        reportUseAfterClose(function)
        return .stale
    }
}
