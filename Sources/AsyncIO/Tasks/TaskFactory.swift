/// A hook into the creation of tasks, for tracing and the like.
extension EventLoop {
    /// Gets each new task's description and operation, and returns the operation to run in its place. asyncio: the factory of
    /// `set_task_factory`.
    ///
    /// The returned operation calls the given one, and may do something before and after. If it throws, so does the task. It
    /// may hide no error: a task whose own operation failed fails in any case. An error of the factory itself fails the task,
    /// whose operation is then released. A task that cannot fail runs without the factory instead, and the error goes to
    /// the exception handler.
    public typealias TaskFactory = (
        EventLoop, TaskInfo, @concurrent @escaping () async throws -> Void
    ) throws -> @concurrent () async throws -> Void

    /// A hook into the creation of tasks; `nil` means none. asyncio: `get_task_factory`, `set_task_factory`.
    ///
    /// It is called for all tasks that the loop starts from then on, the library's own included: those of connections, of
    /// time limits, of `runUntilComplete`.
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
    /// - Thread: the loop's.
    public final var taskFactory: TaskFactory? {
        get {
            requireOnLoop("taskFactory")
            return core.pointee.taskFactory
        }
        set {
            requireOnLoop("taskFactory")
            // The former one is released after the field is in order.
            let former = core.pointee.taskFactory.take()
            core.pointee.taskFactory = newValue
            withExtendedLifetime(former) {}
        }
    }

    /// The operation that the factory makes of a task's; without a factory, the task's own.
    @usableFromInline
    final func applyTaskFactory<Success>(
        _ operation: @concurrent @escaping () async throws -> Success, _ record: TaskRecord
    ) throws -> @concurrent () async throws -> Success {
        guard let factory = core.pointee.taskFactory else { return operation }
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
                throw EventLoopError(.invalidState, "what the task factory made did not run the task's operation")
            }
            return try result.get()
        }
    }

    /// As the other, for a task that cannot fail. What the factory throws is reported, and the operation runs without it.
    @usableFromInline
    final func applyTaskFactory<Success>(
        _ operation: @concurrent @escaping () async -> Success, _ record: TaskRecord
    ) -> @concurrent () async -> Success {
        guard let factory = core.pointee.taskFactory else { return operation }
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
        report(
            ExceptionContext(
                message: "The task factory failed", error: error, origin: record.site, task: record.name))
    }
}

/// Carries a task's result past its factory, which knows no types.
private final class TaskOutcome<Success> {
    var result: Result<Success, any Error>?
}
