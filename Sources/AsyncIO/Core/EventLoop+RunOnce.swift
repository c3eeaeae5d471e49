import AsyncIOSystem
import SystemPackage

extension EventLoop {
    /// The longest single wait. asyncio: `MAXIMUM_SELECT_TIMEOUT`, 24 hours.
    private static var longestWaitNanoseconds: Int64 { 24 * 3600 * 1_000_000_000 }

    /// The number of events for which a loop reserves memory: the most that one wait of epoll or kqueue returns.
    static var reservedEvents: Int { 512 }

    /// The most submissions of other threads per iteration. A wait in between costs a few nanoseconds per submission.
    static var mostSubmissionsPerIteration: Int { 1024 }

    /// Runs one iteration. No other function calls callbacks; they only add to the ready queue. asyncio: `_run_once`.
    final func runOnce() throws(Errno) {
        core.pointee.tick &+= 1
        var submissionsLeft = Self.mostSubmissionsPerIteration
        takeInbox(&submissionsLeft)
        if core.pointee.timers.hasStaleEntries { removeCancelledTimers() }

        // A backlog makes `ready` non-empty. Bytes that were written between two runs are sent after this iteration.
        if core.pointee.ready.isEmpty && !core.pointee.isStopping && core.pointee.endOfIteration.isEmpty
            && !core.pointee.budget.hasDeferred
        {
            let timeout = timeUntilNextTimer()
            let maySleep = timeout == 0 ? false : inbox.prepareToSleep()
            defer { if timeout != 0 { inbox.wokeUp() } }
            try wait(timeoutNanoseconds: maySleep ? timeout : 0)
        } else {
            try wait(timeoutNanoseconds: 0)
        }

        takeInbox(&submissionsLeft)
        queueEvents()
        queueDueTimers()

        // Exactly the entries that are queued now, so that code that reschedules itself cannot starve input and output.
        let executor = asUnownedTaskExecutor()
        if core.pointee.debug.isOn {
            runQueuedMeasuring(executor)
        } else {
            var remaining = core.pointee.ready.count
            let bulk = core.pointee.budget.bulkCount
            if core.pointee.budget.waitingCount > 0 { runWaiting(executor) }
            while remaining > 0 {
                run(core.pointee.ready.pop(), executor)
                remaining -= 1
            }
            if bulk > 0 { runBulk(bulk, executor) }
        }

        core.pointee.budget.renew()
        if !core.pointee.endOfIteration.isEmpty { flushEndOfIteration() }
        if core.pointee.hasEndOfIteration { endOfIteration() }
        if !core.pointee.released.isEmpty { releaseReleased() }
    }

    @inline(__always) final func run(_ word: LoopWord, _ executor: UnownedTaskExecutor) {
        switch word.kind {
        case .taskJob, .actorJob:
            run(word.job, word.kind, executor)
        case .callback:
            // A cancelled callback no longer exists.
            if core.pointee.callbacks.contains(word.id) { core.pointee.callbacks.take(word.id).run(on: self) }
        case .source:
            // SAFETY: not retained. If the source is unregistered meanwhile, it is released after this iteration.
            guard let source = core.pointee.sources.unretained(word.id) else { return }
            source._withUnsafeGuaranteedRef { run($0, word, executor) }
        case .continuation:
            // Through the task's own executor, because the task may have changed its preference meanwhile.
            if let job = captureJob(word.continuation) { job.runSynchronously(on: executor) }
        case .message:
            word.takeMessage().deliver(on: self)
        case .cancelledWaiter:
            settle(word.id, .cancelled)
        case .abandonedSource:
            core.pointee.sources[word.id]?.pointee.abandoned()
        }
    }

    @inline(__always)
    private final func run(_ source: EventSource, _ word: LoopWord, _ executor: UnownedTaskExecutor) {
        let bytesBefore = core.pointee.budget.bytesLeft
        guard bytesBefore > Int(source.reservedBytes) else {
            return source.isBulk ? core.pointee.budget.queueBulk(word) : core.pointee.budget.postpone(word)
        }
        run(source, bytesBefore, executor)
    }

    @inline(__always)
    final func run(_ source: EventSource, _ bytesBefore: Int, _ executor: UnownedTaskExecutor) {
        source.isQueued = false
        // The tail job. Without it, a task would wait for another poll after the event that it waited for.
        if let job = source.run() { job.runSynchronously(on: executor) }
        source.moved(bytesBefore &- core.pointee.budget.bytesLeft)
    }

    /// Moves at most `limit` submissions of other threads to the ready queue, and subtracts their number.
    @inline(__always) final func takeInbox(_ limit: inout Int) {
        if !inbox.hasPosts, core.pointee.backlog.isEmpty { return }
        limit -= core.pointee.backlog.move(atMost: limit, from: inbox, to: &core.pointee.ready)
    }

    final func takeWholeInbox() {
        var limit = Int.max
        takeInbox(&limit)
    }

    /// So that no wait is for a cancelled timer.
    private final func removeCancelledTimers() {
        while let first = core.pointee.timers.first, !core.pointee.callbacks.contains(first.id) {
            core.pointee.timers.removeFirst(isStale: true)
        }
    }

    private final func timeUntilNextTimer() -> Int64? {
        guard let first = core.pointee.timers.first else { return nil }
        let rest = first.deadline.subtractingSaturating(clockSource.now.nanoseconds)
        return min(max(rest, 0), Self.longestWaitNanoseconds)
    }

    /// Queues the timers that are due, in the order of their deadlines, and then of their creation.
    private final func queueDueTimers() {
        guard core.pointee.timers.count > 0 else { return }
        let now = clockSource.now.nanoseconds
        while let first = core.pointee.timers.first, first.deadline <= now {
            let callback = core.pointee.callbacks[first.id]
            core.pointee.timers.removeFirst(isStale: callback == nil)
            guard let callback else { continue }
            callback.pointee.isTimer = false
            core.pointee.ready.push(LoopWord(.callback, first.id))
        }
    }

    /// Submits the writes that drivers collected in this iteration. What that adds waits for the next one.
    @inline(never) private final func flushEndOfIteration() {
        var sources: [EventSource] = []
        swap(&sources, &core.pointee.endOfIteration)
        for source in sources { source.endOfIteration() }
        sources.removeAll(keepingCapacity: true)
        if core.pointee.endOfIteration.isEmpty { swap(&sources, &core.pointee.endOfIteration) }
    }
}
