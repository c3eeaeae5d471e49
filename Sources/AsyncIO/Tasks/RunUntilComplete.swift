import SystemPackage

extension EventLoop {
    /// Runs `body` as a task on the loop until it ends, and returns its result. asyncio: `run_until_complete`.
    ///
    /// Throws what `body` throws, `.stoppedBeforeCompletion` if the loop is stopped first (the task then continues in
    /// the next run), and what ``runForever()`` throws.
    @available(*, noasync, message: "runUntilComplete blocks its thread; call it from synchronous code")
    public final func runUntilComplete<Result>(
        fileID: StaticString = #fileID, line: UInt = #line,
        _ body: sending @concurrent @escaping () async throws -> sending Result
    ) throws -> sending Result {
        try runMain("runUntilComplete", CallSite(fileID: fileID, line: line), body)
    }

    /// Runs `body` as a task until it ends. `prepare` is called first, within the run, with a function that cancels the
    /// task and returns whether the task had not ended yet.
    final func runMain<Result>(
        _ function: String, _ site: CallSite, _ body: sending @concurrent @escaping () async throws -> sending Result,
        prepare: (_ cancel: @escaping () -> Bool) throws(Errno) -> Void = { _ throws(Errno) in }
    ) throws -> sending Result {
        let main = MainTask(body)
        // A later run must not be stopped by this task.
        defer { main.isAwaited = false }
        // Called within the run, because only then the loop is bound to this thread.
        try runBlocking(function) { () throws(Errno) in
            try prepare(main.cancel)
            start(main, site)
        }
        guard let result = main.result else { throw EventLoopError.stoppedBeforeCompletion }
        nonisolated(unsafe) let value = try result.get()
        return value
    }

    /// Starts the main task. Its record reports its end, because an operation that a task factory makes may end without
    /// calling the main task's operation.
    private final func start<Value>(_ main: MainTask<Value>, _ site: CallSite) {
        let record = CreatedTask(loop: self, name: "main", site: site)
        let ended: ((any Error)?) -> Void = { [unowned self, unowned record] error in
            if main.isAwaited {
                if let error { main.result = .failure(error) }
                stop()
            } else if let error {
                reportUnread(error, of: record)
            }
        }
        record.whenEnded = ended
        let box = UncheckedSendable(value: main)
        do {
            let task = try start(record, nil, false) { try await box.value.run() }
            main.requestCancel = { task.cancel() }
        } catch {
            ended(error)
        }
    }
}

/// The body of `runUntilComplete` and its result, which the task and the caller share but never use at the same time.
private final class MainTask<Value> {
    private var body: (@concurrent () async throws -> Value)?
    var result: Result<Value, any Error>?
    /// Whether the run that started the task is still waiting for it.
    var isAwaited = true
    var requestCancel: (() -> Void)?

    init(_ body: @concurrent @escaping () async throws -> Value) {
        self.body = body
    }

    @concurrent
    func run() async throws {
        guard let body = body.take() else { return }
        result = .success(try await body())
    }

    /// Cancels the task, and returns whether it had not ended yet.
    func cancel() -> Bool {
        guard result == nil else { return false }
        requestCancel?()
        return true
    }
}
