import AsyncIOSystem
import CAsyncIO
import Synchronization
import SystemPackage

extension EventLoop {
    /// Whether a thread is running the loop.
    /// - Thread: any.
    public final var isRunning: Bool { status.load(ordering: .acquiring) == .running }

    /// Whether the loop was closed.
    /// - Thread: any.
    @inline(__always) public final var isClosed: Bool { status.load(ordering: .acquiring) == .closed }

    /// Runs until ``stop()`` is called. asyncio: `run_forever`.
    ///
    /// It runs at least one iteration; after a `stop()` before the run, exactly one, which does not wait. The first run
    /// binds the loop to its thread. Throws `.closed`, `.alreadyRunning`, `.anotherLoopRunning`, `.wrongThread`,
    /// `.calledFromTask`, or an ``IOError`` if the poller fails; the loop may be run again.
    @available(*, noasync, message: "runForever blocks its thread; call it from synchronous code")
    public final func runForever() throws { try runBlocking("runForever") }

    /// Ends the run after the current iteration. What queued entries add waits for the next run. asyncio: `stop`.
    /// - Thread: the loop's. From another thread, use `callSoonThreadsafe { loop.stop() }`.
    public final func stop() {
        requireOnLoop("stop")
        core.pointee.isStopping = true
    }

    final func runBlocking(_ function: String, begin: () throws(Errno) -> Void = {}) throws {
        try checkMayRun(function)
        try beginRun()
        aio_loop_slot_set(Unmanaged.passUnretained(self).toOpaque())
        defer {
            runEnded()
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

    /// Binds the loop to this thread and marks it as running. Repeats the checks of ``checkMayRun(_:)``, because
    /// another thread's first run may have begun, and even ended, meanwhile.
    final func beginRun() throws(EventLoopError) {
        let thread = aio_thread_identity()
        // The binding comes first, because a loop that only appears to be running would reject its own thread.
        let bound = boundThread.compareExchange(expected: 0, desired: thread, ordering: .acquiringAndReleasing)
        try checkBinding(bound.original)
        guard status.compareExchange(expected: .idle, desired: .running, ordering: .acquiringAndReleasing).exchanged
        else { throw isClosed ? .closed : .alreadyRunning }
    }

    final func checkMayRun(_ function: String) throws(EventLoopError) {
        if isClosed { throw .closed }
        try checkMayBlock(function, self)
        if isRunning { throw .alreadyRunning }
        try checkBinding(boundThread.load(ordering: .relaxed))
    }

    private final func checkBinding(_ thread: UInt) throws(EventLoopError) {
        if thread != 0, thread != aio_thread_identity() {
            throw EventLoopError(.wrongThread, "an event loop can only run on the thread of its first run")
        }
    }
}

/// Throws if a function that blocks the calling thread, and may be about to run `loop`, would block a loop or a task.
func checkMayBlock(_ function: String, _ loop: EventLoop?) throws(EventLoopError) {
    if let running = runningLoop { throw running === loop ? .alreadyRunning : .anotherLoopRunning }
    // After a suspension, `async main` continues on a pool thread or in the main queue, and must not block either.
    if TaskIdentity.current != .none { throw .calledFromTask(function) }
}

/// The loop that runs on the calling thread, or `nil`. asyncio: `_get_running_loop`.
public var runningLoop: EventLoop? {
    // SAFETY: the slot is set only while a run retains its loop.
    aio_loop_slot_get().map { Unmanaged<EventLoop>.fromOpaque($0).takeUnretainedValue() }
}

/// Returns ``runningLoop``. Throws `.notRunning` if there is none. asyncio: `get_running_loop`.
public func getRunningLoop() throws(EventLoopError) -> EventLoop {
    guard let loop = runningLoop else { throw .notRunning }
    return loop
}
