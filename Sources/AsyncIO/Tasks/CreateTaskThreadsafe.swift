extension EventLoop {
    /// Starts a task on the loop from any thread, and wakes the loop if it is waiting. asyncio:
    /// `run_coroutine_threadsafe`.
    ///
    /// The task is as with ``createTask(name:priority:eagerStart:fileID:line:_:)->Task<Success,Error>``; from its first
    /// step on, the loop counts and cancels it with its other tasks. To wait for the result without a task, see
    /// ``runBlocking(name:within:fileID:line:_:)``. On a closed loop the task fails with `.closed`, and `operation`
    /// is released without being called. Tasks that one thread submits begin in the order of submission.
    ///
    /// - Thread: any.
    public final func createTaskThreadsafe<Success: Sendable>(
        name: String? = nil, priority: TaskPriority? = nil, fileID: StaticString = #fileID, line: UInt = #line,
        _ operation: sending @concurrent @escaping () async throws -> Success
    ) -> Task<Success, any Error> {
        let record = CreatedTask(loop: self, name: name, site: CallSite(fileID: fileID, line: line))
        // SAFETY: the operation was sent to this function, which passes it to the loop's thread only.
        return startThreadsafe(record, priority, SentBody(call: operation)) { _ in }
    }

    /// Starts a task that cannot fail on the loop, from any thread, so reading its value needs no `try`.
    ///
    /// Everything else is as in the form for bodies that throw. On a closed loop `operation` runs on another thread,
    /// where each operation of the loop fails with `.closed`. An error that a task factory throws goes to the exception
    /// handler; see ``setTaskFactory(_:)``.
    ///
    /// - Thread: any.
    @discardableResult
    public final func createTaskThreadsafe<Success: Sendable>(
        name: String? = nil, priority: TaskPriority? = nil, fileID: StaticString = #fileID, line: UInt = #line,
        _ operation: sending @concurrent @escaping () async -> Success
    ) -> Task<Success, Never> {
        let record = CreatedTask(loop: self, name: name, site: CallSite(fileID: fileID, line: line))
        // SAFETY: the operation was sent to this function, which passes it to the loop's thread only.
        let sent = SentValueBody(call: operation)
        return Task(name: record.name, executorPreference: self, priority: priority) { [self] in
            await runPosted(record, sent)
        }
    }

    @concurrent
    private final func runPosted<Success: Sendable>(
        _ record: CreatedTask, _ operation: SentValueBody<Success>
    ) async -> Success {
        if isClosed { return await operation.call() }
        record.assignID()
        let operation = applyTaskFactory(operation.call, record)
        record.register()
        return await record.run(operation)
    }

    /// - Parameter whenDone: Called with the result, before the code that awaits the task gets it.
    final func startThreadsafe<Success: Sendable>(
        _ record: CreatedTask, _ priority: TaskPriority?, _ operation: SentBody<Success>,
        whenDone: @escaping @Sendable (Result<Success, any Error>) -> Void
    ) -> Task<Success, any Error> {
        Task(name: record.name, executorPreference: self, priority: priority) { [self] in
            do {
                let value = try await runPosted(record, operation)
                whenDone(.success(value))
                return value
            } catch {
                whenDone(.failure(error))
                throw error
            }
        }
    }

    /// Runs a submitted task. When it begins, the loop either runs or is closed.
    @concurrent
    private final func runPosted<Success: Sendable>(
        _ record: CreatedTask, _ operation: SentBody<Success>
    ) async throws -> Success {
        if isClosed { throw EventLoopError.closed }
        record.assignID()
        let operation = try applyTaskFactory(operation.call, record)
        record.register()
        return try await record.run(operation)
    }
}
