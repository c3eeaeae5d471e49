extension EventLoop {
    /// Starts a task on the loop's thread. asyncio: `create_task`.
    ///
    /// The loop retains the task until it has ended. Its first step runs in the next iteration; with `eagerStart`, it
    /// runs before this function returns, up to the first suspension. Reports contain `name`. The operation may capture
    /// objects that are not `Sendable`, because all its steps run on the loop's thread. On a closed loop the task fails
    /// with `.closed`.
    /// Discarding the task discards its error, hence there is no `@discardableResult`. For a task that is not awaited,
    /// use ``createBackgroundTask(name:priority:eagerStart:fileID:line:_:)``.
    @inlinable
    public final func createTask<Success: Sendable>(
        name: String? = nil, priority: TaskPriority? = nil, eagerStart: Bool = false, fileID: StaticString = #fileID,
        line: UInt = #line, _ operation: @concurrent @escaping () async throws -> Success
    ) -> Task<Success, any Error> {
        let record = makeTaskRecord("createTask", name, fileID, line)
        do {
            return try start(record, priority, eagerStart, operation)
        } catch {
            return Task { throw error }
        }
    }

    /// Starts a task that cannot fail, so reading its value needs no `try`.
    ///
    /// ```swift
    /// let task = loop.createTask { await greeting() }
    /// print(await task.value)
    /// ```
    ///
    /// Everything else is as in the form for bodies that throw, except for two cases, which that form reports as the
    /// task's error. On a closed loop the body runs on another thread, where each operation of the loop fails with
    /// `.closed`. An error that a task factory throws goes to the exception handler, and the body runs without the
    /// factory if it has not run yet.
    @inlinable @discardableResult
    public final func createTask<Success: Sendable>(
        name: String? = nil, priority: TaskPriority? = nil, eagerStart: Bool = false, fileID: StaticString = #fileID,
        line: UInt = #line, _ operation: @concurrent @escaping () async -> Success
    ) -> Task<Success, Never> {
        start(makeTaskRecord("createTask", name, fileID, line), priority, eagerStart, operation)
    }

    /// Starts a task that is not awaited, and returns no task; an error that ends it goes to the exception handler.
    ///
    /// asyncio's `create_task` does both, and reports "Task exception was never retrieved" when it frees a failed task;
    /// here the library cannot see whether a task is still awaited, so there are two. A cancellation is not reported.
    /// On a closed loop nothing is started, which is reported too.
    public final func createBackgroundTask(
        name: String? = nil, priority: TaskPriority? = nil, eagerStart: Bool = false, fileID: StaticString = #fileID,
        line: UInt = #line, _ operation: @concurrent @escaping () async throws -> Void
    ) {
        let record = makeTaskRecord("createBackgroundTask", name, fileID, line)
        if isClosed { return reportUseAfterClose("createBackgroundTask") }
        // The record reports the end, because an operation that a task factory adds may fail too.
        record.whenEnded = { [unowned self, unowned record] error in
            if let error { reportUnread(error, of: record) }
        }
        _ = startObserved(record, priority, eagerStart, operation)
    }

    /// Reports the error of a task that may not be awaited any more.
    final func reportUnread(_ error: any Error, of record: TaskRecord) {
        if error is CancellationError { return }
        let isDraining = core.pointee.isDraining
        let message = isDraining ? "unhandled exception during run() shutdown" : "Task exception was never retrieved"
        report(ExceptionContext(message: message, error: error, origin: record.site, task: record.name))
    }
}

/// It is inlinable, so that the only closure around an operation of another module is the task's own.
extension EventLoop {
    @usableFromInline
    final func makeTaskRecord(
        _ function: StaticString, _ name: String?, _ fileID: StaticString, _ line: UInt
    ) -> CreatedTask {
        requireOnLoop(function)
        return CreatedTask(loop: self, name: name, site: CallSite(fileID: fileID, line: line))
    }

    @usableFromInline final func checkOpen() throws(EventLoopError) { if isClosed { throw .closed } }

    @usableFromInline final var hasTaskFactory: Bool { core.pointee.taskFactory != nil }

    /// Starts the task of `record`. Throws `.closed`, and what the task factory throws.
    @inlinable
    final func start<Success: Sendable>(
        _ record: CreatedTask, _ priority: TaskPriority?, _ eagerStart: Bool,
        _ operation: @concurrent @escaping () async throws -> Success
    ) throws -> Task<Success, any Error> {
        try checkOpen()
        // SAFETY: every step runs on this thread, so the operation does not leave it.
        nonisolated(unsafe) let operation = hasTaskFactory ? try applyTaskFactory(operation, record) : operation
        return begin(record, priority, eagerStart) { try await record.run(operation) }
    }

    @inlinable
    final func start<Success: Sendable>(
        _ record: CreatedTask, _ priority: TaskPriority?, _ eagerStart: Bool,
        _ operation: @concurrent @escaping () async -> Success
    ) -> Task<Success, Never> {
        if isClosed { return startOnClosedLoop(record, priority, operation) }
        // SAFETY: every step runs on this thread, so the operation does not leave it.
        nonisolated(unsafe) let operation = hasTaskFactory ? applyTaskFactory(operation, record) : operation
        let task = begin(record, priority, eagerStart) { await record.run(operation) }
        // SAFETY: a task's object does not depend on the type of its error, and this task throws none. A task that
        // cannot throw would call the operation through a thunk, which needs memory and a frame.
        return unsafeBitCast(task, to: Task<Success, Never>.self)
    }

    @inlinable @inline(__always)
    final func begin<Success: Sendable>(
        _ record: CreatedTask, _ priority: TaskPriority?, _ eagerStart: Bool,
        _ steps: consuming sending @escaping @isolated(any) () async throws -> Success
    ) -> Task<Success, any Error> {
        let task: Task<Success, any Error>
        if eagerStart, #available(macOS 26, *) {
            task = .immediate(name: record.name, priority: priority, executorPreference: self, operation: steps)
        } else {
            task = Task(name: record.name, executorPreference: self, priority: priority, operation: steps)
        }
        record.started(unsafeBitCast(task, to: UInt.self))
        return task
    }

    /// Starts the task on the thread of closed loops, because it must have a value, so its body has to run.
    @usableFromInline
    final func startOnClosedLoop<Success: Sendable>(
        _ record: CreatedTask, _ priority: TaskPriority?, _ operation: @concurrent @escaping () async -> Success
    ) -> Task<Success, Never> {
        let sent = SentValueBody(call: operation)
        return Task(name: record.name, executorPreference: self, priority: priority) { await sent.call() }
    }

    /// Starts the task of `record`, and reports its end to the record also if it cannot be started; then returns `nil`.
    final func startObserved(
        _ record: CreatedTask, _ priority: TaskPriority? = nil, _ eagerStart: Bool = false,
        _ operation: @concurrent @escaping () async throws -> Void
    ) -> Task<Void, any Error>? {
        do {
            return try start(record, priority, eagerStart, operation)
        } catch {
            record.whenEnded.take()?(error)
            return nil
        }
    }

    /// Cancels all tasks of ``createTask(name:priority:eagerStart:fileID:line:_:)->Task<Success,Error>``.
    public final func cancelAllTasks() {
        requireOnLoop("cancelAllTasks")
        for record in core.pointee.tasks.records { record.requestCancel() }
    }

    /// Cancels all tasks and runs until the last one has ended. Meanwhile no client is accepted, and new tasks are
    /// cancelled too, so that a client that reconnects forever cannot keep the loop running.
    final func drainTasks() throws {
        // Checked before anything is changed, because a runner's loop may belong to another thread.
        try checkMayRun("Runner.close")
        guard isOnLoop else { throw EventLoopError.wrongThread("Runner.close") }
        core.pointee.isDraining = true
        defer { core.pointee.isDraining = false }
        for id in core.pointee.sources.ids { core.pointee.sources[id]?.pointee.drain() }
        cancelAllTasks()
        while core.pointee.tasks.count > 0 { try runForever() }
    }

    final func taskEnded() {
        if core.pointee.isDraining, core.pointee.tasks.count == 0 { core.pointee.isStopping = true }
    }
}
