import AsyncIOSystem
import CAsyncIO
import Synchronization
import SystemPackage

extension EventLoop {
    /// Whether a thread is running the loop. Any thread.
    public final var isRunning: Bool { status.load(ordering: .acquiring) == .running }

    /// Whether the loop was closed. Any thread.
    public final var isClosed: Bool {
        @inline(__always)
        get { status.load(ordering: .acquiring) == .closed }
    }

    /// Runs until ``stop()`` is called. asyncio: `run_forever`.
    ///
    /// At least one tick: after a `stop()` before the run, exactly one that does not wait. The first run binds the loop to
    /// its thread. Throws `.closed`, `.alreadyRunning`, `.anotherLoopRunning`, `.wrongThread`, `.calledFromTask`, or an
    /// ``IOError`` if the poller fails; the loop may be run again.
    @available(*, noasync, message: "runForever blocks its thread; call it from synchronous code")
    public final func runForever() throws {
        try runBlocking("runForever")
    }

    /// Runs `body` as a task on the loop until it ends, and returns its result. asyncio: `run_until_complete`.
    ///
    /// Throws what `body` throws, `.stoppedBeforeCompletion` if the loop is stopped first (the task then goes on at the
    /// next run), and what ``runForever()`` throws.
    @available(*, noasync, message: "runUntilComplete blocks its thread; call it from synchronous code")
    public final func runUntilComplete<Result>(
        fileID: StaticString = #fileID, line: UInt = #line,
        _ body: sending @concurrent @escaping () async throws -> sending Result
    ) throws -> sending Result {
        try runMain("runUntilComplete", CallSite(fileID: fileID, line: line), body)
    }

    /// Runs `body` as a task until it ends. `prepare` is called first, within the run, with what cancels the task; that tells
    /// whether the task had not ended before.
    final func runMain<Result>(
        _ function: String, _ site: CallSite, _ body: sending @concurrent @escaping () async throws -> sending Result,
        prepare: (_ cancel: @escaping () -> Bool) throws(Errno) -> Void = { _ throws(Errno) in }
    ) throws -> sending Result {
        let main = MainTask(body)
        // Whoever runs the loop after a stop has not asked to be stopped by this task.
        defer { main.isAwaited = false }
        // From within the run, which has bound the loop to this thread.
        try runBlocking(function) { () throws(Errno) in
            try prepare(main.cancel)
            start(main, site)
        }
        guard let result = main.result else { throw EventLoopError.stoppedBeforeCompletion }
        nonisolated(unsafe) let value = try result.get()
        return value
    }

    /// Its end is told by its record: what a task factory makes of a main task may end without calling it.
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

    /// Runs until `future` is done, and returns its result. asyncio: `run_until_complete`.
    ///
    /// Throws what ``Future/result()`` throws, `.invalidArgument` for a future of another loop, `.stoppedBeforeCompletion` if
    /// the loop is stopped first (it may be run again), and what ``runForever()`` throws.
    @available(*, noasync, message: "runUntilComplete blocks its thread; call it from synchronous code")
    public final func runUntilComplete<Value>(_ future: Future<Value>) throws -> Value {
        guard future.loop === self else {
            throw EventLoopError(.invalidArgument, "the future belongs to another event loop")
        }
        // A callback that is queued when the run ends must not stop the next one.
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

    /// Ends the run after this tick: what is queued for it still runs, what it adds waits for the next run. asyncio: `stop`.
    ///
    /// The loop's thread; from elsewhere, `callSoonThreadsafe { loop.stop() }`.
    public final func stop() {
        requireOnLoop("stop")
        core.pointee.isStopping = true
    }

    private final func runBlocking(_ function: String, begin: () throws(Errno) -> Void = {}) throws {
        try checkMayRun(function)
        try beginRun()
        aio_loop_slot_set(Unmanaged.passUnretained(self).toOpaque())
        defer {
            aio_loop_slot_set(nil)
            core.pointee.isStopping = false
            status.store(.idle, ordering: .releasing)
        }
        try prepareMainQueue()
        do {
            try begin()
            repeat { try runOnce() } while !core.pointee.isStopping
        } catch {
            throw IOError(error, operation: "wait for events")
        }
    }

    /// Makes the loop this thread's, and running. What ``checkMayRun(_:)`` found may not hold any more: another thread's first
    /// run can have come meanwhile, and gone again.
    final func beginRun() throws(EventLoopError) {
        let thread = aio_thread_identity()
        // First: a loop that only seems to run would turn its own thread away.
        let bound = boundThread.compareExchange(expected: 0, desired: thread, ordering: .acquiringAndReleasing)
        try checkBinding(bound.original)
        guard status.compareExchange(expected: .idle, desired: .running, ordering: .acquiringAndReleasing).exchanged
        else { throw isClosed ? .closed : .alreadyRunning }
        owner.store(thread, ordering: .relaxed)
    }

    final func checkMayRun(_ function: String) throws(EventLoopError) {
        if isClosed { throw .closed }
        if let running = aio_loop_slot_get() {
            throw running == Unmanaged.passUnretained(self).toOpaque() ? .alreadyRunning : .anotherLoopRunning
        }
        if isRunning { throw .alreadyRunning }
        // After a suspension, `async main` goes on in a pool thread or in the main queue: blocking either is a trap.
        if TaskIdentity.current != .none { throw .calledFromTask(function) }
        try checkBinding(boundThread.load(ordering: .relaxed))
    }

    private final func checkBinding(_ thread: UInt) throws(EventLoopError) {
        if thread != 0, thread != aio_thread_identity() {
            throw EventLoopError(.wrongThread, "an event loop runs only on the thread of its first run")
        }
    }
}

/// Whether a run that waits for a future is still there.
private final class RunFlag {
    var value = true
}

/// The body of `runUntilComplete` and its result, shared by the task and the caller, who takes turns with it.
private final class MainTask<Value> {
    private var body: (@concurrent () async throws -> Value)?
    var result: Result<Value, any Error>?
    /// Whether the run is still there that began it.
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

    /// Asks the task to end. Whether it had not ended before.
    func cancel() -> Bool {
        guard result == nil else { return false }
        requestCancel?()
        return true
    }
}
