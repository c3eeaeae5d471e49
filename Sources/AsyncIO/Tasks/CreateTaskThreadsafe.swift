extension EventLoop {
    /// Starts a task on the loop from any thread; wakes the loop if it sleeps. asyncio: `run_coroutine_threadsafe`.
    ///
    /// As ``createTask(name:priority:eagerStart:fileID:line:_:)->Task<Success,Error>``: the loop counts and cancels it with its others, from its first
    /// step on. The task gives the value, the error and the cancellation to whoever awaits it; to wait without a task, see
    /// ``runThreadsafe(name:timeout:fileID:line:_:)``. On a closed loop it fails with `.closed`, and `operation` is released
    /// without being called. Tasks of one thread begin in their order.
    public final func createTaskThreadsafe<Success: Sendable>(
        name: String? = nil, priority: TaskPriority? = nil, fileID: StaticString = #fileID, line: UInt = #line,
        _ operation: sending @concurrent @escaping () async throws -> Success
    ) -> Task<Success, any Error> {
        let record = TaskRecord(loop: self, name: name, site: CallSite(fileID: fileID, line: line))
        // SAFETY: the operation was sent here, and goes on to the loop's thread alone.
        return startThreadsafe(record, priority, SentBody(call: operation)) { _ in }
    }

    /// Starts a task that cannot fail on the loop, from any thread: its value is there without `try`.
    ///
    /// As the form for bodies that throw. On a closed loop `operation` runs on another thread, where each operation of the
    /// loop fails with `.closed`. What a task factory throws goes to the exception handler, as with
    /// ``setTaskFactory(_:)``.
    @discardableResult
    public final func createTaskThreadsafe<Success: Sendable>(
        name: String? = nil, priority: TaskPriority? = nil, fileID: StaticString = #fileID, line: UInt = #line,
        _ operation: sending @concurrent @escaping () async -> Success
    ) -> Task<Success, Never> {
        let record = TaskRecord(loop: self, name: name, site: CallSite(fileID: fileID, line: line))
        // SAFETY: the operation was sent here, and goes on to the loop's thread alone.
        let sent = SentValueBody(call: operation)
        let canceller = TaskCanceller()
        let task = Task(name: record.name, executorPreference: self, priority: priority) { [self] in
            await runPosted(record, canceller, sent)
        }
        canceller.adopt { task.cancel() }
        return task
    }

    @concurrent
    private final func runPosted<Success: Sendable>(
        _ record: TaskRecord, _ canceller: TaskCanceller, _ operation: SentValueBody<Success>
    ) async -> Success {
        if isClosed { return await operation.call() }
        record.assignID()
        let sent = SentValueBody(call: applyTaskFactory(operation.call, record))
        begin(record, canceller)
        return await record.run(sent)
    }

    private final func begin(_ record: TaskRecord, _ canceller: TaskCanceller) {
        record.requestCancel = { canceller.cancel() }
        record.register()
        if core.pointee.isDraining { canceller.cancel() }
    }

    /// - Parameter whenDone: Called with the result, before whoever awaits the task gets it.
    final func startThreadsafe<Success: Sendable>(
        _ record: TaskRecord, _ priority: TaskPriority?, _ operation: SentBody<Success>,
        whenDone: @escaping @Sendable (Result<Success, any Error>) -> Void
    ) -> Task<Success, any Error> {
        let canceller = TaskCanceller()
        let task = Task(name: record.name, executorPreference: self, priority: priority) { [self] in
            do {
                let value = try await runPosted(record, canceller, operation)
                whenDone(.success(value))
                return value
            } catch {
                whenDone(.failure(error))
                throw error
            }
        }
        canceller.adopt { task.cancel() }
        return task
    }

    /// A posted task's life. Where it begins, the loop either runs or is closed.
    private final nonisolated(nonsending) func runPosted<Success: Sendable>(
        _ record: TaskRecord, _ canceller: TaskCanceller, _ operation: SentBody<Success>
    ) async throws -> Success {
        if isClosed { throw EventLoopError.closed }
        record.assignID()
        let sent = SentBody(call: try applyTaskFactory(operation.call, record))
        begin(record, canceller)
        return try await record.run(sent)
    }
}

/// The handle of a task that may begin before the thread that makes it has its handle.
private final class TaskCanceller: Sendable {
    private struct State {
        var cancel: (@Sendable () -> Void)?
        var isRequested = false
    }

    private let state = Locked(State())

    /// Once, by the thread that made the task.
    func adopt(_ cancel: @escaping @Sendable () -> Void) {
        let isRequested = state.withLock { state in
            state.cancel = cancel
            return state.isRequested
        }
        if isRequested { cancel() }
    }

    func cancel() {
        let cancel = state.withLock { state in
            state.isRequested = true
            return state.cancel
        }
        cancel?()
    }
}
