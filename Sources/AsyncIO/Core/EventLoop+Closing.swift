import AsyncIOSystem
import CAsyncIO
import Synchronization

extension EventLoop {
    /// The number of rounds in which queued jobs may queue others. What they queue afterwards runs on another thread.
    private static var mostClosingRounds: Int { 1_000 }

    /// Closes the loop and frees everything that it contains. Irreversible and idempotent. asyncio: `close`.
    ///
    /// Callbacks and timers are discarded without being called, sockets are closed without notifying their protocols,
    /// and tasks that wait in an operation of the loop are resumed with `.closed`.
    ///
    /// Throws `.tasksAlive` while tasks of ``createTask(name:priority:eagerStart:fileID:line:_:)->Task<Success,Error>``
    /// have not ended (cancel them and run the loop until they have ended, as
    /// ``run(isDebug:loopFactory:fileID:line:_:)`` does), `.alreadyRunning` while the loop runs, and `.wrongThread`.
    public final func close() throws(EventLoopError) {
        if isClosed { return }
        if isRunning { throw .cannotCloseRunning }
        guard isOnLoop else { throw .wrongThread("close") }
        // Begins like a run, because another thread's first run may begin at this moment.
        try beginRun()
        if core.pointee.tasks.count > 0 {
            status.store(.idle, ordering: .releasing)
            throw .tasksAlive(core.pointee.tasks.count)
        }

        status.store(.closed, ordering: .sequentiallyConsistent)
        let former = aio_loop_slot_get()
        aio_loop_slot_set(Unmanaged.passUnretained(self).toOpaque())
        defer { aio_loop_slot_set(former) }

        core.pointee.lackingDescriptors = []
        runEnded()
        removeAllSignalHandlers()
        if core.pointee.debug.isOn { warnOfOpenSources() }
        for id in core.pointee.sources.ids { core.pointee.sources[id]?.pointee.loopClosed() }
        for id in core.pointee.waiters.ids { settle(id, .closed) }
        runJobsUntilTheEnd()

        dropCallbacks()
        core.pointee.timers.removeAll()
        core.pointee.descriptors.removeUsers()
        // Before the sources are released, because until then the kernel may be using their memory.
        closePoller()
        for id in core.pointee.sources.ids { _ = core.pointee.sources.remove(id) }
        releaseReleased()
        core.pointee.mainQueue = nil
        core.pointee.systemCalls = nil
        core.pointee.makeFilter = nil
        // Detached first, because objects that they captured may set them again when they are released.
        let exceptionHandler = core.pointee.exceptionHandler.take()
        let taskFactory = core.pointee.taskFactory.take()
        let warningHandler = core.pointee.debug.options.warningHandler.take()
        withExtendedLifetime((exceptionHandler, taskFactory, warningHandler)) {}
    }

    /// Runs the resumed tasks until they have ended, and discards everything else that is queued.
    ///
    /// The inbox is closed in the step that finds it empty. A job that it then rejects runs on another thread, where an
    /// actor of this loop must not run while it has a job here.
    private final func runJobsUntilTheEnd() {
        let executor = asUnownedTaskExecutor()
        core.pointee.budget.queueAll(in: &core.pointee.ready)
        for _ in 0..<Self.mostClosingRounds {
            takeWholeInbox()
            finishReady { word in run(word.job, word.kind, executor) }
            if core.pointee.ready.isEmpty, inbox.close(ifEmpty: true) { return }
        }
        inbox.close()
        takeWholeInbox()
        while !core.pointee.ready.isEmpty {
            finishReady { word in ClosedLoopThread.shared.run(word, of: self) }
        }
    }

    /// For what other threads submitted to a loop that was not run or closed afterwards.
    final func dropMessages() {
        takeWholeInbox()
        core.pointee.budget.queueAll(in: &core.pointee.ready)
        while !core.pointee.ready.isEmpty { finishReady { _ in } }
    }

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
