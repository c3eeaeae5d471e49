import AsyncIOSystem

extension EventLoop {
    /// Runs `body` as a task on the loop, and blocks the calling thread until it has ended. asyncio: `result()` of the
    /// future that `run_coroutine_threadsafe` returns.
    ///
    /// ```swift
    /// let greeting = try loop.runBlocking(within: .seconds(5)) { try await client.greeting() }
    /// ```
    ///
    /// Throws what `body` throws; `.wrongThread` on the loop's own thread, which would wait for itself;
    /// `.anotherLoopRunning` on the thread of another loop; `.calledFromTask` within a task; `.closed`; and `.timedOut`
    /// after `timeout` of real time, when `body` has been cancelled but may not have ended. If the loop is not running,
    /// it waits until another thread runs it.
    ///
    /// - Thread: any that runs no loop.
    @available(
        *, noasync, message: "runBlocking blocks its thread; in a task, await the result of createTaskThreadsafe"
    )
    public final func runBlocking<Value>(
        name: String? = nil, within timeout: Duration? = nil, fileID: StaticString = #fileID, line: UInt = #line,
        _ body: sending @concurrent @escaping () async throws -> sending Value
    ) throws -> sending Value {
        if isRunningHere {
            throw EventLoopError(
                .wrongThread,
                "runBlocking would wait forever, because it was called on the thread of the loop that it waits for")
        }
        try checkMayBlock("runBlocking", nil)
        try checkOpen()
        let deadline = timeout.map { MonotonicClock.now.advanced(by: $0) } ?? .distantFuture
        let record = CreatedTask(loop: self, name: name, site: CallSite(fileID: fileID, line: line))
        // SAFETY: the body was sent here. Its result belongs to the loop until the task has ended, then to the caller.
        let sent = SentBody(call: body)
        let operation = SentBody { UncheckedSendable(value: try await sent.call()) }
        let answer = Monitor<Result<UncheckedSendable<Value>, any Error>?>(nil)
        let task = Task(name: name, executorPreference: self) { [self] in
            let result: Result<UncheckedSendable<Value>, any Error>
            do { result = .success(try await runSubmitted(record, operation)) } catch { result = .failure(error) }
            answer.withLock { $0 = result }
            answer.signal()
        }
        guard let result = answer.wait(until: deadline, { result, _ in result }) else {
            task.cancel()
            throw EventLoopError.timedOut("within \(timeout ?? .zero)", "runBlocking", record.site)
        }
        nonisolated(unsafe) let value = try result.get().value
        return value
    }
}
