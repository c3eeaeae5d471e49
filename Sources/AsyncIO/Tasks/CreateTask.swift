extension EventLoop {
    /// Starts a task on the loop's thread. asyncio: `create_task`.
    ///
    /// The loop keeps the task until it has ended. Its first step runs in the next tick; with `eagerStart`, before this
    /// function returns, up to its first suspension. The operation may capture what is not `Sendable`: all its steps
    /// run on the loop's thread. The loop's thread; on a closed loop the task fails with `.closed` at once.
    ///
    /// - Parameter name: For reports.
    @discardableResult
    public final func createTask<Success: Sendable>(
        name: String? = nil, priority: TaskPriority? = nil, eagerStart: Bool = false,
        _ operation: @escaping () async throws -> Success
    ) -> Task<Success, any Error> {
        requireOnLoop("createTask")
        if isClosed { return Task { throw EventLoopError.closed } }
        let record = TaskRecord(loop: self, name: name)
        core.pointee.tasks[ObjectIdentifier(record)] = record
        // SAFETY: every step runs on this thread, so the operation does not leave it.
        let sent = UncheckedSendable(value: operation)
        let body: @Sendable @concurrent () async throws -> Success = {
            record.begin()
            defer { record.end() }
            // The task's one cancellation handler: its waits need none of their own.
            return try await withTaskCancellationHandler(operation: sent.value) { record.cancel() }
        }
        let task: Task<Success, any Error>
        if eagerStart, #available(macOS 26, *) {
            task = Task.immediate(name: name, priority: priority, executorPreference: self, operation: body)
        } else {
            task = Task(name: name, executorPreference: self, priority: priority, operation: body)
        }
        if !record.isFinished { record.requestCancel = { task.cancel() } }
        if core.pointee.isDraining { task.cancel() }
        return task
    }

    /// Asks all tasks of ``createTask(name:priority:eagerStart:_:)`` to end. The loop's thread.
    public final func cancelAllTasks() {
        requireOnLoop("cancelAllTasks")
        for record in Array(core.pointee.tasks.values) { record.requestCancel?() }
    }

    /// How many tasks have not ended. The loop's thread.
    public final var taskCount: Int {
        requireOnLoop("taskCount")
        return core.pointee.tasks.count
    }

    /// Cancels all tasks and runs until the last one has ended. Nobody is accepted meanwhile, and what is started meanwhile is
    /// cancelled too: a client that comes back for ever must not keep the loop.
    final func drainTasks() throws {
        core.pointee.isDraining = true
        defer { core.pointee.isDraining = false }
        for name in core.pointee.sources.names { core.pointee.sources[name]?.pointee.drain() }
        cancelAllTasks()
        while !core.pointee.tasks.isEmpty { try runForever() }
    }

    final func taskEnded() {
        if core.pointee.isDraining, core.pointee.tasks.isEmpty { core.pointee.isStopping = true }
    }
}
