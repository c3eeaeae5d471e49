import AsyncIOSystem
import CAsyncIO
import Synchronization

extension EventLoop {
    /// Jobs of one round may queue others; a program that never stops doing so goes on elsewhere.
    private static var mostClosingRounds: Int { 1_000 }

    /// Frees everything the loop holds. Irreversible, and idempotent. asyncio: `close`.
    ///
    /// Callbacks and timers that still wait are dropped without being called, sockets are closed without telling their
    /// protocols, tasks that wait in an operation of the loop are resumed with `.closed`. The loop's thread.
    ///
    /// Throws `.tasksAlive` while tasks of ``createTask(name:priority:eagerStart:fileID:line:_:)->Task<Success,Error>``
    /// have not ended (cancel them, and run the loop until they did; ``run(isDebug:loopFactory:fileID:line:_:)`` does
    /// that), `.alreadyRunning` while it runs, `.wrongThread`.
    public final func close() throws(EventLoopError) {
        if isClosed { return }
        if isRunning { throw .cannotCloseRunning }
        guard isOnLoop else { throw .wrongThread("close") }
        // As a run, since another thread's first one may begin at this moment.
        try beginRun()
        if !core.pointee.tasks.isEmpty {
            status.store(.idle, ordering: .releasing)
            throw .tasksAlive(core.pointee.tasks.count)
        }

        status.store(.closed, ordering: .sequentiallyConsistent)
        let former = aio_loop_slot_get()
        aio_loop_slot_set(Unmanaged.passUnretained(self).toOpaque())
        defer { aio_loop_slot_set(former) }

        core.pointee.lackingDescriptors = []
        removeAllSignalHandlers()
        if core.pointee.debug.isOn { warnOfOpenSources() }
        for name in core.pointee.sources.names { core.pointee.sources[name]?.pointee.loopClosed() }
        for name in core.pointee.waiters.names { settle(name, .closed) }
        runJobsUntilTheEnd()

        dropCallbacks()
        core.pointee.timers.removeAll()
        // Before the sources, whose memory the kernel may be using until then.
        closePoller()
        for name in core.pointee.sources.names { _ = core.pointee.sources.remove(name) }
        releaseReleased()
        core.pointee.internalSources = 0
        core.pointee.mainQueue = nil
        // Detached first: what they captured may set them again when it is released.
        let exceptionHandler = core.pointee.exceptionHandler.take()
        let taskFactory = core.pointee.taskFactory.take()
        let warningHandler = core.pointee.debug.options.warningHandler.take()
        withExtendedLifetime((exceptionHandler, taskFactory, warningHandler)) {}
    }

    /// Lets the resumed tasks come to their ends; everything else that is queued is dropped.
    ///
    /// The inbox is closed in one step with finding it empty, and no job is run here after that: a job that is refused
    /// runs on another thread, where an actor of this loop must not be while it has a job here.
    private final func runJobsUntilTheEnd() {
        let executor = asUnownedTaskExecutor()
        core.pointee.budget.queueAll(in: &core.pointee.ready)
        for _ in 0..<Self.mostClosingRounds {
            takeWholeInbox()
            finishReady { word in run(word.job, word.kind, executor) }
            if core.pointee.ready.isEmpty, inbox.closeIfEmpty() { return }
        }
        inbox.close()
        takeWholeInbox()
        while !core.pointee.ready.isEmpty {
            finishReady { word in ClosedLoopThread.shared.run(word, of: self) }
        }
    }

    /// From `deinit`: releases what other threads sent to a loop that nobody ran or closed afterwards.
    final func dropMessages() {
        takeWholeInbox()
        core.pointee.budget.queueAll(in: &core.pointee.ready)
        while !core.pointee.ready.isEmpty { finishReady { _ in } }
    }

    /// Empties the queue of what is in it now.
    private final func finishReady(_ runJob: (LoopWord) -> Void) {
        var remaining = core.pointee.ready.count
        while remaining > 0 {
            remaining -= 1
            let word = core.pointee.ready.pop()
            switch word.kind {
            case .taskJob, .actorJob: runJob(word)
            case .continuation: word.continuation.resume()
            case .message: word.takeMessage().discard()
            case .callback, .source, .cancelledWaiter, .abandonedSource: break
            }
        }
    }
}
