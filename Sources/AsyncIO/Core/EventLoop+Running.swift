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
    /// ``AsyncIOSystem/IOError`` if the poller fails; the loop may be run again.
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
        _ body: sending @escaping () async throws -> sending Result
    ) throws -> sending Result {
        let main = MainTask(body)
        let box = UncheckedSendable(value: main)
        // Whoever runs the loop after a stop has not asked to be stopped by this task.
        defer { main.isAwaited = false }
        // From within the run, which has bound the loop to this thread.
        try runBlocking("runUntilComplete") {
            createTask(name: "main") { [self] in
                await box.value.run()
                if box.value.isAwaited { stop() }
            }
        }
        guard let result = main.result else { throw EventLoopError.stoppedBeforeCompletion }
        nonisolated(unsafe) let value = try result.get()
        return value
    }

    /// Ends the run after this tick: what is queued for it still runs, what it adds waits for the next run. asyncio: `stop`.
    ///
    /// The loop's thread; from elsewhere, `callSoonThreadsafe { loop.stop() }`.
    public final func stop() {
        requireOnLoop("stop")
        core.pointee.isStopping = true
    }

    private final func runBlocking(_ function: String, begin: () -> Void = {}) throws {
        try checkMayRun(function)
        guard status.compareExchange(expected: .idle, desired: .running, ordering: .acquiringAndReleasing).exchanged
        else { throw EventLoopError.alreadyRunning }
        owner.store(aio_thread_identity(), ordering: .relaxed)
        isBound.store(true, ordering: .relaxed)
        aio_loop_slot_set(Unmanaged.passUnretained(self).toOpaque())
        defer {
            aio_loop_slot_set(nil)
            core.pointee.isStopping = false
            status.store(.idle, ordering: .releasing)
        }
        do {
            let mainQueue = try serveMainQueue()
            defer { if let mainQueue { unwatchInternally(mainQueue.descriptor, mainQueue) } }
            begin()
            repeat { try runOnce() } while !core.pointee.isStopping
        } catch {
            throw IOError(error, operation: "wait for events")
        }
    }

    private final func checkMayRun(_ function: String) throws(EventLoopError) {
        if isClosed { throw .closed }
        if let running = aio_loop_slot_get() {
            throw running == Unmanaged.passUnretained(self).toOpaque() ? .alreadyRunning : .anotherLoopRunning
        }
        if isRunning { throw .alreadyRunning }
        // After a suspension, `async main` goes on in a pool thread or in the main queue: blocking either is a trap.
        if TaskIdentity.current != .none { throw .calledFromTask(function) }
        if isBound.load(ordering: .relaxed), owner.load(ordering: .relaxed) != aio_thread_identity() {
            throw EventLoopError(.wrongThread, "an event loop runs only on the thread of its first run")
        }
    }

    private final func serveMainQueue() throws(Errno) -> MainQueueSource? {
        guard aio_is_main_thread() else { return nil }
        let source = MainQueueSource()
        guard source.descriptor.rawValue >= 0 else { return nil }
        try watchInternally(source.descriptor, source)
        return source
    }
}

/// The body of `runUntilComplete` and its result, shared by the task and the caller, who takes turns with it.
private final class MainTask<Value> {
    private var body: (() async throws -> Value)?
    private(set) var result: Result<Value, any Error>?
    /// Whether the run is still there that began it.
    var isAwaited = true

    init(_ body: @escaping () async throws -> Value) {
        self.body = body
    }

    func run() async {
        guard let body = body.take() else { return }
        do { result = .success(try await body()) } catch { result = .failure(error) }
    }
}
