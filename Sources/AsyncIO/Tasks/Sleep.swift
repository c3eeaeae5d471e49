public import AsyncIOSystem

extension EventLoop {
    /// Suspends the task for `duration`, on the loop's timers. asyncio: `sleep`.
    ///
    /// A duration of zero or less is a ``yield()``. Throws `CancellationError` when the task is cancelled, and `.closed`.
    /// Any task; off the loop, it hops.
    public final func sleep(for duration: Duration) async throws {
        if duration <= .zero, isOnLoop {
            await yield()
            if isClosed { throw EventLoopError.closed }
            return try Task.checkCancellation()
        }
        try await sleep(until: now.advanced(by: duration))
    }

    /// Suspends the task until the loop's clock has reached `deadline`.
    public final func sleep(until deadline: LoopInstant) async throws {
        try await atHome { record in
            if isClosed { throw EventLoopError.closed }
            let token = makeWaiter()
            let timer = schedule(
                ScheduledCallback(settling: token, site: CallSite(fileID: #fileID, line: #line)), at: deadline)
            let outcome = await suspend(token, record)
            if outcome != .ready { cancelCallback(timer) }
            try check(outcome)
        }
    }

    /// Lets everything run that is queued now, and input and output that is ready; then goes on. asyncio: `sleep(0)`.
    ///
    /// Exactly one tick. Any task; off the loop it is `Task.yield()`.
    public final func yield() async {
        guard isOnLoop, !isClosed, waitingTask(#isolation).isHome else { return await Task.yield() }
        let isDirect = core.pointee.resumesDirectly && #isolation == nil
        await suspendInPlace { core.pointee.ready.push(LoopWord(resuming: $0, directly: isDirect)) }
    }
}
