public import AsyncIOSystem
import Synchronization

/// Callbacks, in the order in which they were scheduled.
extension EventLoop {
    /// Calls `body` in the next tick, after everything that was scheduled before it. asyncio: `call_soon`.
    ///
    /// The loop's thread. On a closed loop nothing is scheduled and the handle is dead. An error that `body` throws goes
    /// to the exception handler. Task-local values are not carried along;
    /// ``createTask(name:priority:eagerStart:fileID:line:_:)->Task<Success,Error>`` does that.
    @discardableResult
    public final func callSoon(
        fileID: StaticString = #fileID, line: UInt = #line, _ body: consuming @escaping () throws -> Void
    ) -> Handle {
        if !isRunningHere {
            requireOnLoop("callSoon")
            // Between two runs: what was submitted before comes first, all of it, or callbacks of this thread would lose
            // their order.
            takeWholeInbox()
        }
        if isClosed { return Handle(loop: self, name: deadName("callSoon")) }
        let name = core.pointee.callbacks.insert(
            ScheduledCallback(body, site: CallSite(fileID: fileID, line: line), isTimer: false))
        core.pointee.ready.push(LoopWord(.callback, name))
        return Handle(loop: self, name: name)
    }

    /// Calls `body` on the loop's thread; wakes the loop if it sleeps. Any thread. asyncio: `call_soon_threadsafe`.
    ///
    /// Callbacks of one thread keep their order. One iteration runs at most 1,024 of what other threads submit, so that a
    /// burst does not delay timers and connections. Throws `.closed` on a closed loop; `body` is then released.
    @discardableResult
    public final func callSoonThreadsafe(
        fileID: StaticString = #fileID, line: UInt = #line, _ body: sending @escaping () throws -> Void
    ) throws(EventLoopError) -> ThreadsafeHandle {
        let message = CallbackMessage(.init(call: body), site: CallSite(fileID: fileID, line: line))
        let word = LoopWord(message)
        if isRunningHere, !isClosed {
            core.pointee.ready.push(word)
        } else if isClosed || !inbox.post(word) {
            word.takeMessage().discard()
            throw .closed
        }
        return ThreadsafeHandle(message)
    }

    /// Calls `body` after `delay`, never earlier. asyncio: `call_later`.
    ///
    /// A delay of zero or less means the next tick, in the order of time: what should have run earlier comes first.
    /// Callbacks that are due at the same time run in the order in which they were scheduled. The loop's thread.
    @discardableResult
    public final func callLater(
        after delay: Duration, fileID: StaticString = #fileID, line: UInt = #line,
        _ body: consuming @escaping () throws -> Void
    ) -> TimerHandle {
        makeTimer("callLater", now.advanced(by: delay), CallSite(fileID: fileID, line: line), body)
    }

    /// Calls `body` when the loop's clock has reached `deadline`, never earlier. asyncio: `call_at`. The loop's thread.
    ///
    /// asyncio also runs what is due within one ``clockResolution``. Here deadlines and waits are in nanoseconds, or a wait is
    /// rounded up, so the loop does not spin before a deadline either.
    @discardableResult
    public final func callAt(
        _ deadline: LoopInstant, fileID: StaticString = #fileID, line: UInt = #line,
        _ body: consuming @escaping () throws -> Void
    ) -> TimerHandle {
        makeTimer("callAt", deadline, CallSite(fileID: fileID, line: line), body)
    }

    @inline(__always)
    private final func makeTimer(
        _ function: StaticString, _ deadline: LoopInstant, _ site: CallSite,
        _ body: consuming @escaping () throws -> Void
    ) -> TimerHandle {
        requireOnLoop(function)
        let name =
            isClosed
            ? deadName(function) : schedule(ScheduledCallback(body, site: site, isTimer: true), at: deadline)
        return TimerHandle(loop: self, name: name, deadline: deadline)
    }

    /// The present, on the loop's clock. asyncio: `time()`. Any thread.
    public final var now: LoopInstant { clockSource.now }

    /// The smallest step of the loop's clock.
    public final var clockResolution: Duration { clockSource.resolution }

    /// - Parameter callback: A timer.
    @inline(__always)
    final func schedule(_ callback: consuming ScheduledCallback, at deadline: LoopInstant) -> SlotName {
        let name = core.pointee.callbacks.insert(callback)
        core.pointee.timers.insert(deadline: deadline, name: name)
        return name
    }

    /// - Returns: Whether the callback was pending.
    @discardableResult
    final func cancelCallback(_ name: SlotName) -> Bool {
        requireOnLoop("cancel")
        // The closure is released here, at once, and after the slab and the heap are in order again.
        guard core.pointee.callbacks.contains(name) else { return false }
        let callback = core.pointee.callbacks.take(name)
        withExtendedLifetime(callback) {
            guard callback.isTimer, !core.pointee.timers.removeIfLast(name) else { return }
            core.pointee.timers.cancelled { core.pointee.callbacks.contains($0) }
        }
        return true
    }

    final func isPending(_ name: SlotName) -> Bool {
        requireOnLoop("isPending")
        return core.pointee.callbacks.contains(name)
    }

    /// The name of nothing, for the handle of a callback that a closed loop does not take.
    @inline(never)
    private final func deadName(_ function: StaticString) -> SlotName {
        reportUseAfterClose(function)
        return SlotName(slot: .max, generation: 0)
    }
}

extension EventLoop {
    /// Queues `message`. Any thread, also from a `deinit`.
    ///
    /// - Returns: false if the loop is closed; the message was then released.
    final func post(_ message: LoopMessage) -> Bool {
        let word = LoopWord(message)
        if isRunningHere, !isClosed {
            core.pointee.ready.push(word)
            return true
        }
        if inbox.post(word) { return true }
        _ = word.takeMessage()
        return false
    }
}
