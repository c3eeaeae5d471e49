import AsyncIOSystem
import SystemPackage

extension EventLoop {
    /// The longest single wait. asyncio: `MAXIMUM_SELECT_TIMEOUT`, 24 hours.
    private static var longestWaitNanoseconds: Int64 { 24 * 3600 * 1_000_000_000 }

    /// Events that a loop has memory for from its creation on: as many as one wait of epoll or kqueue returns at most.
    static var reservedEvents: Int { 512 }

    /// How many submissions of other threads one iteration runs. A wait in between costs a few nanoseconds for each of
    /// them.
    static var mostSubmissionsPerIteration: Int { 1024 }

    /// One tick. The only place where callbacks are called; all others just add to the ready queue. asyncio:
    /// `_run_once`.
    final func runOnce() throws(Errno) {
        core.pointee.tick &+= 1
        var submissionsLeft = Self.mostSubmissionsPerIteration
        takeInbox(&submissionsLeft)
        if core.pointee.timers.hasDeadEntries { removeCancelledTimers() }

        // A backlog has made `ready` non-empty. What was written between two runs waits for the end of this tick.
        if core.pointee.ready.isEmpty && !core.pointee.isStopping && core.pointee.endOfTick.isEmpty
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

        // Exactly what is queued now. What these entries add waits for the next tick, after another poll: so nothing
        // that keeps rescheduling itself can starve input and output.
        let executor = asUnownedTaskExecutor()
        if core.pointee.debug.isOn {
            runQueuedMeasuring(executor)
        } else {
            var remaining = core.pointee.ready.count
            let bulk = core.pointee.budget.bulkCount
            if core.pointee.budget.hasWaiting { runWaiting(executor) }
            while remaining > 0 {
                run(core.pointee.ready.pop(), executor)
                remaining -= 1
            }
            if bulk > 0 { runBulk(bulk, executor) }
        }

        core.pointee.budget.renew()
        if !core.pointee.endOfTick.isEmpty { flushEndOfTick() }
        if !core.pointee.released.isEmpty { releaseReleased() }
    }

    @inline(__always)
    final func run(_ word: LoopWord, _ executor: UnownedTaskExecutor) {
        switch word.kind {
        case .taskJob, .actorJob:
            run(word.job, word.kind, executor)
        case .callback:
            // A cancelled one is gone.
            if core.pointee.callbacks.contains(word.name) { core.pointee.callbacks.take(word.name).run(on: self) }
        case .source:
            // SAFETY: not retained. If the source is unregistered meanwhile, it is released after this iteration.
            guard let source = core.pointee.sources.unretained(word.name) else { return }
            source._withUnsafeGuaranteedRef { run($0, word, executor) }
        case .continuation:
            // Through the task's own executor, since it may have changed its preference meanwhile.
            if let job = captureJob(word.continuation) { job.runSynchronously(on: executor) }
        case .message:
            word.takeMessage().deliver(on: self)
        case .cancelledWaiter:
            settle(word.name, .cancelled)
        case .abandonedSource:
            core.pointee.sources[word.name]?.pointee.abandoned()
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
        // The tail job: without it, a task would wait for another poll after the event it waited for.
        if let job = source.run() { job.runSynchronously(on: executor) }
        source.moved(bytesBefore &- core.pointee.budget.bytesLeft)
    }

    /// Moves what other threads submitted to the ready queue, at most `limit` of it, and subtracts that from `limit`.
    @inline(__always)
    final func takeInbox(_ limit: inout Int) {
        if inbox.hasPosts || !core.pointee.backlog.isEmpty { takeSubmissions(&limit) }
    }

    /// Moves all that other threads submitted.
    final func takeWholeInbox() {
        var limit = Int.max
        takeInbox(&limit)
    }

    @inline(never)
    private final func takeSubmissions(_ limit: inout Int) {
        limit -= core.pointee.backlog.move(atMost: limit, from: inbox, to: &core.pointee.ready)
    }

    /// Removes the entries of cancelled timers that are the next in the heap, so that no wait is for them.
    private final func removeCancelledTimers() {
        while let first = core.pointee.timers.first, !core.pointee.callbacks.contains(first.name) {
            core.pointee.timers.removeFirst()
            core.pointee.timers.buriedFirst()
        }
    }

    /// Nanoseconds until the first timer is due, at most a day; `nil` without timers.
    private final func timeUntilNextTimer() -> Int64? {
        guard let first = core.pointee.timers.first else { return nil }
        let rest = first.deadline.subtractingSaturating(clockSource.now.nanoseconds)
        return min(max(rest, 0), Self.longestWaitNanoseconds)
    }

    /// Queues the timers whose time has come, in the order of their deadlines, equal ones in the order of creation.
    private final func queueDueTimers() {
        guard core.pointee.timers.count > 0 else { return }
        let now = clockSource.now.nanoseconds
        while let first = core.pointee.timers.first, first.deadline <= now {
            core.pointee.timers.removeFirst()
            if let callback = core.pointee.callbacks[first.name] {
                callback.pointee.isTimer = false
                core.pointee.ready.push(LoopWord(.callback, first.name))
            } else {
                core.pointee.timers.buriedFirst()
            }
        }
    }

    /// Submits the writes that drivers collected in this iteration. The two arrays alternate: no iteration allocates.
    @inline(never)
    private final func flushEndOfTick() {
        swap(&core.pointee.endOfTick, &core.pointee.endOfTickSpare)
        for source in core.pointee.endOfTickSpare { source.endOfTick() }
        core.pointee.endOfTickSpare.removeAll(keepingCapacity: true)
    }
}
