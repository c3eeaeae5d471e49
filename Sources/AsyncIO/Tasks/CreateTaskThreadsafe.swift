extension EventLoop {
    /// Starts a task on the loop from any thread, and wakes the loop. asyncio: `run_coroutine_threadsafe`.
    ///
    /// The task is as with ``createTask(name:priority:eagerStart:fileID:line:_:)->Task<Success,Error>``; from its first
    /// step on, the loop counts and cancels it with its other tasks. Tasks that one thread submits begin in the order
    /// of submission. To wait for the result without a task, see ``runBlocking(name:within:fileID:line:_:)``. On a
    /// closed loop, `operation` is released without being called.
    ///
    /// - Thread: any.
    public final func createTaskThreadsafe<Success: Sendable>(
        name: String? = nil, priority: TaskPriority? = nil, fileID: StaticString = #fileID, line: UInt = #line,
        _ operation: sending @concurrent @escaping () async throws -> Success
    ) -> Task<Success, any Error> {
        let record = CreatedTask(loop: self, name: name, site: CallSite(fileID: fileID, line: line))
        // SAFETY: the operation was sent to this function, which passes it to the loop's thread only.
        let sent = SentBody(call: operation)
        return Task(name: name, executorPreference: self, priority: priority) { [self] in
            try await runSubmitted(record, sent)
        }
    }

    /// Starts a task that cannot fail on the loop, from any thread, so reading its value needs no `try`. What differs
    /// from the form for bodies that throw is as in `createTask`.
    ///
    /// - Thread: any.
    @discardableResult
    public final func createTaskThreadsafe<Success: Sendable>(
        name: String? = nil, priority: TaskPriority? = nil, fileID: StaticString = #fileID, line: UInt = #line,
        _ operation: sending @concurrent @escaping () async -> Success
    ) -> Task<Success, Never> {
        let record = CreatedTask(loop: self, name: name, site: CallSite(fileID: fileID, line: line))
        // SAFETY: as above.
        let sent = SentValueBody(call: operation)
        return Task(name: name, executorPreference: self, priority: priority) { [self] in
            if isClosed { return await sent.call() }
            return await record.run(applyTaskFactory(sent.call, record))
        }
    }

    /// Runs a submitted task. When it begins, the loop either runs or is closed.
    @concurrent
    final func runSubmitted<Success: Sendable>(
        _ record: CreatedTask, _ operation: SentBody<Success>
    ) async throws -> Success {
        try checkOpen()
        return try await record.run(applyTaskFactory(operation.call, record))
    }
}
