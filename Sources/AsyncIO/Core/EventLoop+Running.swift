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
    /// At least one tick: after a `stop()` before the run, exactly one that does not wait. The first run binds the loop
    /// to its thread. Throws `.closed`, `.alreadyRunning`, `.anotherLoopRunning`, `.wrongThread`, `.calledFromTask`, or
    /// an ``IOError`` if the poller fails; the loop may be run again.
    @available(*, noasync, message: "runForever blocks its thread; call it from synchronous code")
    public final func runForever() throws {
        try runBlocking("runForever")
    }

    /// Ends the run after this tick: what is queued for it still runs, what it adds waits for the next run. asyncio:
    /// `stop`.
    ///
    /// The loop's thread; from elsewhere, `callSoonThreadsafe { loop.stop() }`.
    public final func stop() {
        requireOnLoop("stop")
        core.pointee.isStopping = true
    }

    final func runBlocking(_ function: String, begin: () throws(Errno) -> Void = {}) throws {
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

    /// Makes the loop this thread's, and running. What ``checkMayRun(_:)`` found may not hold any more: another
    /// thread's first run can have come meanwhile, and gone again.
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
            throw EventLoopError(.wrongThread, "an event loop can only run on the thread of its first run")
        }
    }
}
