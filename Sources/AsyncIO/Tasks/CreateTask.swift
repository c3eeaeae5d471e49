extension EventLoop {
    /// Starts a task on the loop's thread. asyncio: `create_task`.
    ///
    /// The loop keeps the task until it has ended. Its first step runs in the next tick; with `eagerStart`, before this
    /// function returns, up to its first suspension. The operation may capture what is not `Sendable`: all its steps
    /// run on the loop's thread. The loop's thread; on a closed loop the task fails with `.closed` at once.
    ///
    /// Who drops the task drops its error with it, so the compiler warns;
    /// ``startTask(name:priority:eagerStart:fileID:line:_:)`` is for tasks that nobody awaits.
    ///
    /// - Parameter name: For reports.
    public final func createTask<Success: Sendable>(
        name: String? = nil, priority: TaskPriority? = nil, eagerStart: Bool = false, fileID: StaticString = #fileID,
        line: UInt = #line, _ operation: @escaping () async throws -> Success
    ) -> Task<Success, any Error> {
        requireOnLoop("createTask")
        let record = TaskRecord(loop: self, name: name, site: CallSite(fileID: fileID, line: line))
        do {
            return try start(record, priority, eagerStart, operation)
        } catch {
            return Task { throw error }
        }
    }

    /// Starts a task that nobody awaits: an error that ends it goes to the exception handler, once.
    ///
    /// asyncio reports "Task exception was never retrieved" when a failed task is freed. Whether a Swift task is still held or
    /// awaited cannot be seen, so who starts it says so. A cancellation is not reported. All else is as with
    /// ``createTask(name:priority:eagerStart:fileID:line:_:)``; on a closed loop nothing is started, which is reported too.
    public final func startTask(
        name: String? = nil, priority: TaskPriority? = nil, eagerStart: Bool = false, fileID: StaticString = #fileID,
        line: UInt = #line, _ operation: @escaping () async throws -> Void
    ) {
        requireOnLoop("startTask")
        if isClosed { return reportUseAfterClose("startTask") }
        let record = TaskRecord(loop: self, name: name, site: CallSite(fileID: fileID, line: line))
        // By the record, since what a task factory adds may fail too.
        record.whenEnded = { [unowned self, unowned record] error in
            if let error { reportUnread(error, of: record) }
        }
        do {
            _ = try start(record, priority, eagerStart, operation)
        } catch {
            reportUnread(error, of: record)
        }
    }

    /// A task threw, and nobody may be left to be told.
    final func reportUnread(_ error: any Error, of record: TaskRecord) {
        if error is CancellationError { return }
        let message: StaticString =
            core.pointee.isDraining
            ? "unhandled exception during run() shutdown" : "Task exception was never retrieved"
        callExceptionHandler(
            ExceptionContext(message: "\(message)", error: error, origin: record.site, task: record.name))
    }

    /// Starts the task of `record`. Throws `.closed`, and what the task factory throws.
    final func start<Success: Sendable>(
        _ record: TaskRecord, _ priority: TaskPriority?, _ eagerStart: Bool,
        _ operation: @escaping () async throws -> Success
    ) throws -> Task<Success, any Error> {
        if isClosed { throw EventLoopError.closed }
        record.assignID()
        // SAFETY: every step runs on this thread, so the operation does not leave it.
        let sent = SentOperation(call: try applyTaskFactory(operation, record))
        record.register()
        let body: @Sendable @concurrent () async throws -> Success = { try await record.run(sent) }
        let task: Task<Success, any Error>
        if eagerStart, #available(macOS 26, *) {
            task = Task.immediate(name: record.name, priority: priority, executorPreference: self, operation: body)
        } else {
            task = Task(name: record.name, executorPreference: self, priority: priority, operation: body)
        }
        if !record.isFinished { record.requestCancel = { task.cancel() } }
        if core.pointee.isDraining { task.cancel() }
        return task
    }

    /// Asks all tasks of ``createTask(name:priority:eagerStart:fileID:line:_:)`` to end. The loop's thread.
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
        // Before anything is touched: a runner's loop may be another thread's.
        try checkMayRun("Runner.close")
        guard isOnLoop else { throw EventLoopError.wrongThread("Runner.close") }
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
