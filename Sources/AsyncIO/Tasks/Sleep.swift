public import AsyncIOSystem

extension EventLoop {
    /// Suspends the task for `duration`, measured by the loop's clock; zero or less is a ``yield()``. asyncio: `sleep`.
    /// Throws `CancellationError` when the task is cancelled, and `.closed`.
    public final func sleep(for duration: Duration) async throws {
        if duration <= .zero, isOnLoop {
            await yield()
            if isClosed { throw EventLoopError.closed }
            return try Task.checkCancellation()
        }
        try await sleep(until: now.advanced(by: duration))
    }

    /// Suspends the task until the loop's clock has reached `deadline`. Throws as ``sleep(for:)`` does.
    public final func sleep(until deadline: LoopInstant) async throws {
        try await withAffinity { record in
            if isClosed { throw EventLoopError.closed }
            let token = makeWaiter()
            let timer = schedule(
                ScheduledCallback(settling: token, site: CallSite(fileID: #fileID, line: #line)), at: deadline)
            let outcome = await suspend(token, record)
            if outcome != .ready { cancelCallback(timer) }
            try check(outcome)
        }
    }

    /// Suspends the task for exactly one iteration: everything that is queued, and input and output that is ready, runs
    /// first. Off the loop, it is `Task.yield()`. asyncio: `sleep(0)`.
    public final func yield() async {
        guard isOnLoop, !isClosed, affinityRecord(#isolation).hasAffinity else { return await Task.yield() }
        let isDirect = core.pointee.resumesDirectly && #isolation == nil
        await suspendInPlace { core.pointee.ready.push(LoopWord(resuming: $0, directly: isDirect)) }
    }
}
