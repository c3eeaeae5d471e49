extension EventLoop {
    /// A function that gets the description and the operation of each new task, and returns the operation to run
    /// instead. asyncio: the factory of `set_task_factory`.
    ///
    /// The returned operation calls the given one, and may do something before and after it. If it throws, the task
    /// throws the error. It cannot hide an error: a task whose own operation failed always fails. If the factory itself
    /// throws, the task fails with that error and its operation is released. A task that cannot fail then runs without
    /// the factory, and the error goes to the exception handler.
    public typealias TaskFactory = (
        EventLoop, TaskInfo, @concurrent @escaping () async throws -> Void
    ) throws -> @concurrent () async throws -> Void

    /// The task factory; `nil` means none. asyncio: `get_task_factory`, `set_task_factory`.
    ///
    /// It is called for all tasks that the loop starts from then on, including those of connections and of time limits.
    ///
    /// ```swift
    /// loop.taskFactory = { loop, info, operation in
    ///     {
    ///         print("begins: \(info)")
    ///         defer { print("ends: \(info)") }
    ///         try await operation()
    ///     }
    /// }
    /// ```
    public final var taskFactory: TaskFactory? {
        get {
            requireOnLoop("taskFactory")
            return core.pointee.taskFactory
        }
        set {
            requireOnLoop("taskFactory")
            // The former factory is released after the property has been set.
            let former = core.pointee.taskFactory.take()
            core.pointee.taskFactory = newValue
            withExtendedLifetime(former) {}
        }
    }

    @usableFromInline
    final func applyTaskFactory<Success>(
        _ operation: @concurrent @escaping () async throws -> Success, _ record: TaskRecord
    ) throws -> @concurrent () async throws -> Success {
        guard let factory = core.pointee.taskFactory else { return operation }
        record.assignID()
        let outcome = TaskOutcome<Success>()
        let made = try factory(self, record.info) {
            do {
                outcome.result = .success(try await operation())
            } catch {
                outcome.result = .failure(error)
                throw error
            }
        }
        return {
            try await made()
            guard let result = outcome.result else {
                throw EventLoopError(.invalidState, "the task factory's operation did not run the task's operation")
            }
            return try result.get()
        }
    }

    /// An error of the factory is reported, and the operation runs without the factory.
    @usableFromInline
    final func applyTaskFactory<Success>(
        _ operation: @concurrent @escaping () async -> Success, _ record: TaskRecord
    ) -> @concurrent () async -> Success {
        guard let factory = core.pointee.taskFactory else { return operation }
        record.assignID()
        let outcome = TaskOutcome<Success>()
        let made: @concurrent () async throws -> Void
        do {
            made = try factory(self, record.info) { outcome.result = .success(await operation()) }
        } catch {
            reportFactory(error, of: record)
            return operation
        }
        return { [unowned self, unowned record] in
            do { try await made() } catch { reportFactory(error, of: record) }
            if case .success(let value) = outcome.result { return value }
            return await operation()
        }
    }

    private final func reportFactory(_ error: any Error, of record: TaskRecord) {
        if error is CancellationError { return }
        let message = "The task factory failed"
        report(ExceptionContext(message: message, error: error, origin: record.site, task: record.name))
    }
}

private final class TaskOutcome<Success> { var result: Result<Success, any Error>? }
