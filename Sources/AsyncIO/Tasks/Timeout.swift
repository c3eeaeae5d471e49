public import AsyncIOSystem

/// Runs `body`, and cancels it when it takes longer than `duration`. asyncio: `timeout`, `wait_for`.
///
/// ```swift
/// let line = try await withTimeout(.seconds(5)) { try await reader.readLine() }
/// ```
///
/// Throws `.timedOut` if the time passed and `body` then ended by its cancellation; a result or another error that `body` came
/// to is passed on. Waits in any case until `body` has ended. A cancellation of the surrounding task reaches `body` and is
/// thrown as such. A duration of zero or less cancels at the first suspension. Needs a running loop, or throws `.notRunning`.
public func withTimeout<Result>(
    _ duration: Duration, fileID: StaticString = #fileID, line: UInt = #line,
    _ body: @concurrent () async throws -> Result
) async throws -> Result {
    let loop = try getRunningLoop()
    return try await loop.withDeadline(loop.now.advanced(by: duration), fileID: fileID, line: line, body)
}

/// Runs `body`, and cancels it when the running loop's clock has reached `deadline`. asyncio: `timeout_at`.
public func withDeadline<Result>(
    _ deadline: LoopInstant, fileID: StaticString = #fileID, line: UInt = #line,
    _ body: @concurrent () async throws -> Result
) async throws -> Result {
    try await getRunningLoop().withDeadline(deadline, fileID: fileID, line: line, body)
}

extension EventLoop {
    /// Runs `body` on this loop, and cancels it when the loop's clock has reached `deadline`.
    ///
    /// Swift's cancellation cannot be taken back, so `body` runs in a task of its own.
    public final func withDeadline<Result>(
        _ deadline: LoopInstant, fileID: StaticString = #fileID, line: UInt = #line,
        _ body: @concurrent () async throws -> Result
    ) async throws -> Result {
        let call = DeadlineCall<Result>(loop: self, deadline: deadline, site: CallSite(fileID: fileID, line: line))
        return try await withoutActuallyEscaping(body, do: call.run)
    }

    fileprivate final nonisolated(nonsending) func runWithDeadline<Result>(
        _ deadline: LoopInstant, _ site: CallSite, _ body: SentBody<Result>
    ) async throws -> UncheckedSendable<Result> {
        var hasEnded = false
        let record = TaskRecord(loop: self, name: "timeout", site: site)
        // The caller awaits it, also when the run has ended: its error is not reported as one that nobody gets.
        record.whenEnded = { _ in hasEnded = true }
        let task = try start(record, nil, true) { UncheckedSendable(value: try await body.call()) }
        var timedOut = false
        let expire = {
            timedOut = true
            task.cancel()
        }
        var timer: TimerHandle?
        if deadline > now {
            timer = callAt(deadline, expire)
        } else if !hasEnded {
            // A timer's turn would come after a suspension of a single tick.
            expire()
        }
        let result = await withTaskCancellationHandler {
            await task.result
        } onCancel: {
            task.cancel()
        }
        timer?.cancel()
        if timedOut, !Task.isCancelled, case .failure(let error) = result, error is CancellationError {
            throw EventLoopError(.timedOut, "the operation took longer than its time limit")
        }
        return try result.get()
    }
}

/// `withDeadline` between its two parts; a method, so that the body can be passed on as escaping.
private struct DeadlineCall<Result> {
    let loop: EventLoop
    let deadline: LoopInstant
    let site: CallSite

    nonisolated(nonsending) func run(
        _ body: @concurrent @escaping () async throws -> Result
    ) async throws -> Result {
        // SAFETY: the caller is suspended until the body's task has ended: one of the two uses what it captures.
        let sent = SentBody(call: body)
        return try await loop.atHome { _ in
            if loop.isClosed { throw EventLoopError.closed }
            return try await loop.runWithDeadline(deadline, site, sent).value
        }
    }
}
