import AsyncIOSystem

/// Debug mode's way of running the ready queue, which reads the clock between two entries.
extension EventLoop {
    /// What ran. It is recorded before it runs, and described in words only if it was slow.
    private enum Subject {
        case callback(CallSite?)
        case source(EventSource, CallSite?)
        case task(TaskRecord?)
        case other(StaticString)
    }

    /// As the plain loop in `runOnce()`.
    @inline(never) final func runQueuedMeasuring(_ executor: UnownedTaskExecutor) {
        var remaining = core.pointee.ready.count
        var began = now
        let bulk = core.pointee.budget.bulkCount
        forEachWaiting { began = runMeasuring($0, isDeferred: true, since: began, executor) }
        while remaining > 0 {
            remaining -= 1
            began = runMeasuring(core.pointee.ready.pop(), isDeferred: false, since: began, executor)
        }
        forEachBulk(bulk) { began = runMeasuring($0, isDeferred: $1, since: began, executor) }
        core.pointee.debug.begunTask = nil
    }

    /// Returns the instant at which the entry ended.
    private final func runMeasuring(
        _ word: LoopWord, isDeferred: Bool, since began: LoopInstant, _ executor: UnownedTaskExecutor
    ) -> LoopInstant {
        var subject = subject(of: word)
        let bytesBefore = core.pointee.budget.bytesLeft
        core.pointee.debug.begunTask = nil
        if case .source(let source, _) = subject, isDeferred || bytesBefore > source.reservedBytes {
            source.isQueued = false
            // The task that continues at once is what may be slow, and it has a name.
            if let job = isDeferred ? runDeferred(source) : source.run() {
                if let record = record(at: LoopWord(.taskJob, job: job)) { subject = .task(record) }
                job.runSynchronously(on: executor)
            }
            if isDeferred {
                finishDeferred(source, bytesBefore)
            } else {
                source.moved(bytesBefore &- core.pointee.budget.bytesLeft)
            }
        } else {
            run(word, executor)
            if isDeferred { finishDeferred(nil, bytesBefore) }
        }
        let ended = now
        let duration = began.duration(to: ended)
        guard duration >= core.pointee.debug.options.slowCallbackDuration else { return ended }
        warnOfSlow(subject, duration)
        return now
    }

    private final func subject(of word: LoopWord) -> Subject {
        switch word.kind {
        case .callback:
            guard let callback = core.pointee.callbacks[word.id]?.pointee else {
                return .other("a cancelled callback")
            }
            if callback.body == nil { return .other("the end of a sleep") }
            return .callback(callback.site)
        case .message: return .callback(word.peekMessage().callSite)
        case .source:
            guard let source = core.pointee.sources[word.id]?.pointee else { return .other("a closed source") }
            return .source(source, source.origin)
        case .taskJob, .continuation: return .task(record(at: word))
        case .actorJob: return .other("a job of an actor")
        case .cancelledWaiter, .abandonedSource: return .other("a message")
        }
    }

    /// A job or a continuation is the address of its task, which is also its identity.
    private final func record(at word: LoopWord) -> TaskRecord? {
        core.pointee.tasks[TaskIdentity(of: word.job)]
    }

    @inline(never) private final func warnOfSlow(_ subject: Subject, _ duration: Duration) {
        var site: CallSite?
        let words: String
        switch subject {
        case .callback(let scheduledAt):
            site = scheduledAt
            words = scheduledAt == nil ? "a message" : "a callback"
        case .source(let source, let madeAt):
            site = madeAt
            words = source.label
        case .task(let record):
            // A task that has just begun was not known before.
            let task = record?.info ?? core.pointee.debug.begunTask
            site = task?.createdAt
            words = task?.name.map { "a step of task '\($0)'" } ?? "a step of a task"
        case .other(let text): words = "\(text)"
        }
        // The wording is asyncio's.
        let message = "Executing \(words) took \(duration.inSeconds) seconds"
        warn(.slowCallback, message, callSite: site, duration: duration)
    }
}
