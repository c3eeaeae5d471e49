import SystemPackage

extension EventLoop {
    /// Runs `body` as a task on the loop until it ends, and returns its result. asyncio: `run_until_complete`.
    ///
    /// Throws what `body` throws, `.stoppedBeforeCompletion` if the loop is stopped first (the task then continues in
    /// the next run), and what ``runForever()`` throws.
    @available(*, noasync, message: "runUntilComplete blocks its thread; call it from synchronous code")
    public final func runUntilComplete<Value>(
        fileID: StaticString = #fileID, line: UInt = #line,
        _ body: sending @concurrent @escaping () async throws -> sending Value
    ) throws -> sending Value {
        try runMain("runUntilComplete", CallSite(fileID: fileID, line: line), body)
    }

    /// Runs `body` as a task until it ends. Within the run, `prepare` first gets a function that cancels the task and
    /// returns whether the task had not ended yet.
    final func runMain<Value>(
        _ function: String, _ site: CallSite, _ body: sending @concurrent @escaping () async throws -> sending Value,
        prepare: (_ cancel: @escaping () -> Bool) throws(Errno) -> Void = { _ throws(Errno) in }
    ) throws -> sending Value {
        var task: Task<Void, any Error>?
        var result: Result<Value, any Error>?
        // A later run must not be stopped by this task.
        var isAwaited = true
        defer { isAwaited = false }
        let record = CreatedTask(loop: self, name: "main", site: site)
        // The record reports the end, because an operation that a task factory makes may end without calling the body.
        record.whenEnded = { [unowned self, unowned record] error in
            if isAwaited {
                if let error { result = .failure(error) }
                stop()
            } else if let error {
                reportUnread(error, of: record)
            }
        }
        // Started within the run, because only then the loop is bound to this thread.
        try runBlocking(function) { () throws(Errno) in
            try prepare {
                if result != nil { return false }
                task?.cancel()
                return true
            }
            task = startObserved(record) { result = .success(try await body()) }
        }
        guard let result else { throw EventLoopError.stoppedBeforeCompletion }
        // SAFETY: the task has ended, and nothing else refers to its result.
        nonisolated(unsafe) let value = try result.get()
        return value
    }

    /// Runs until `future` is done, and returns its result. Throws as ``Future/result()`` and ``runForever()`` do,
    /// `.invalidArgument` for a future of another loop, and `.stoppedBeforeCompletion` if the loop is stopped first.
    @available(*, noasync, message: "runUntilComplete blocks its thread; call it from synchronous code")
    public final func runUntilComplete<Value>(_ future: Future<Value>) throws -> Value {
        guard future.loop === self else {
            throw EventLoopError(.invalidArgument, "the future belongs to another event loop")
        }
        // A callback that is still queued when the run ends must not stop the next run.
        var isAwaited = true
        var token: Future<Value>.CallbackToken?
        defer {
            isAwaited = false
            if let token { future.removeDoneCallback(token) }
        }
        try runBlocking("runUntilComplete") {
            token = future.addDoneCallback { [unowned self] _ in if isAwaited { stop() } }
        }
        guard future.isDone else {
            throw EventLoopError(
                .stoppedBeforeCompletion, "the event loop was stopped before the future it ran for was done")
        }
        return try future.result()
    }
}
