extension EventLoop {
    /// Runs until `future` is done, and returns its result. asyncio: `run_until_complete`.
    ///
    /// Throws what ``Future/result()`` throws, `.invalidArgument` for a future of another loop,
    /// `.stoppedBeforeCompletion` if the loop is stopped before the future is done (the loop may be run again), and
    /// what ``runForever()`` throws.
    @available(*, noasync, message: "runUntilComplete blocks its thread; call it from synchronous code")
    public final func runUntilComplete<Value>(_ future: Future<Value>) throws -> Value {
        guard future.loop === self else {
            throw EventLoopError(.invalidArgument, "the future belongs to another event loop")
        }
        // A callback that is still queued when the run ends must not stop the next run.
        let isAwaited = RunFlag()
        var token: Future<Value>.CallbackToken?
        defer {
            isAwaited.value = false
            if let token { future.removeDoneCallback(token) }
        }
        try runBlocking("runUntilComplete") {
            token = future.addDoneCallback { [unowned self] _ in if isAwaited.value { stop() } }
        }
        guard future.isDone else {
            throw EventLoopError(
                .stoppedBeforeCompletion, "the event loop was stopped before the future it ran for was done")
        }
        return try future.result()
    }
}

/// Whether a run still waits for a future.
private final class RunFlag {
    var value = true
}
