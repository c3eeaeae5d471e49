/// The connections that an earlier iteration deferred because its budget was used up, and those that move much data.
extension EventLoop {
    /// Calls `run` with the deferred connections that are not bulk, in order, as far as the budget goes.
    @inline(__always) final func forEachWaiting(_ run: (LoopWord) -> Void) {
        // Connections that are deferred again meanwhile wait for the next iteration.
        for _ in 0..<core.pointee.budget.waitingCount {
            guard let word = core.pointee.budget.popWaiting() else { break }
            run(word)
        }
    }

    /// Calls `run` with the first `count` bulk connections as far as the budget goes, and whether each was deferred.
    @inline(__always)
    final func forEachBulk(_ count: Int, _ run: (LoopWord, _ wasDeferred: Bool) -> Void) {
        for number in 0..<count {
            guard let (word, wasDeferred) = core.pointee.budget.popBulk(isFirst: number == 0) else { break }
            run(word, wasDeferred)
        }
        core.pointee.budget.leaveBulk()
    }

    @inline(never) final func runWaiting(_ executor: UnownedTaskExecutor) {
        forEachWaiting { runDeferred($0, executor) }
    }

    @inline(never) final func runBulk(_ count: Int, _ executor: UnownedTaskExecutor) {
        forEachBulk(count) { word, wasDeferred in
            if wasDeferred { return runDeferred(word, executor) }
            // SAFETY: not retained, as in `run(_:_:)`.
            guard let source = core.pointee.sources.unretained(word.id) else { return }
            source._withUnsafeGuaranteedRef { run($0, core.pointee.budget.bytesLeft, executor) }
        }
    }

    @inline(__always)
    private final func runDeferred(_ word: LoopWord, _ executor: UnownedTaskExecutor) {
        let bytesBefore = core.pointee.budget.bytesLeft
        guard word.kind == .source else {
            run(word, executor)
            return finishDeferred(nil, bytesBefore)
        }
        // SAFETY: not retained, as in `run(_:_:)`.
        guard let source = core.pointee.sources.unretained(word.id) else { return }
        source._withUnsafeGuaranteedRef { source in
            if let job = runDeferred(source) { job.runSynchronously(on: executor) }
            finishDeferred(source, bytesBefore)
        }
    }

    /// Runs a source, and lets its task make one call, even if no budget is left when either runs.
    @inline(__always) final func runDeferred(_ source: EventSource) -> UnownedJob? {
        source.isQueued = false
        source.grants = Interest(source.readiness)
        return source.run()
    }

    /// Ends the run of a deferred source. A task that is only queued is charged now, so that the grants are bounded.
    @inline(__always) final func finishDeferred(_ source: EventSource?, _ bytesBefore: Int) {
        source?.moved(bytesBefore &- core.pointee.budget.bytesLeft)
        if core.pointee.budget.bytesLeft == bytesBefore {
            core.pointee.budget.use(ByteBudget.bytesPerGrant)
        } else {
            source?.grants = []
        }
    }

    /// Suspends a task until the budget of an iteration serves it. Called on the loop's thread.
    final nonisolated(nonsending) func waitForBytes() async {
        let isDirect = core.pointee.resumesDirectly && #isolation == nil
        await suspendInPlace {
            core.pointee.budget.postpone(LoopWord(resuming: $0, directly: isDirect))
        }
    }
}
