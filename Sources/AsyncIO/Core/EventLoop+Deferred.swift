/// Connections that found no bytes left in the budget of an earlier iteration.
extension EventLoop {
    /// Calls `run` with those that this iteration's budget serves, in the order in which they were deferred.
    @inline(never)
    final func forEachDeferred(_ run: (LoopWord) -> Void) {
        // Those that are deferred again meanwhile wait for the next iteration.
        let count = core.pointee.budget.deferredCounts
        for _ in 0..<count.others {
            guard let word = core.pointee.budget.popWaiting() else { break }
            run(word)
        }
        for number in 0..<count.bulk {
            guard let word = core.pointee.budget.popBulk(isFirst: number == 0) else { break }
            run(word)
        }
    }

    @inline(never)
    final func runDeferred(_ executor: UnownedTaskExecutor) {
        forEachDeferred { word in
            let bytesBefore = core.pointee.budget.bytesLeft
            if word.kind == .source {
                guard let source = core.pointee.sources[word.name]?.pointee else { return }
                if let job = runDeferred(source) { job.runSynchronously(on: executor) }
                finishDeferred(source, bytesBefore)
            } else {
                run(word, executor)
                finishDeferred(nil, bytesBefore)
            }
        }
    }

    /// Runs a source whatever is left, and lets its task make one call although nothing may be left when the task runs.
    final func runDeferred(_ source: EventSource) -> UnownedJob? {
        source.isQueued = false
        source.grants = source.readiness
        return source.run()
    }

    /// What was deferred has run, or its task is queued: then it is charged now, so that an iteration grants a bounded number.
    final func finishDeferred(_ source: EventSource?, _ bytesBefore: Int) {
        source?.moved(bytesBefore &- core.pointee.budget.bytesLeft)
        if core.pointee.budget.bytesLeft == bytesBefore { core.pointee.budget.use(ByteBudget.bytesPerGrant) }
    }

    /// Suspends a task until the budget of an iteration serves it. On its loop.
    final nonisolated(nonsending) func waitForBytes() async {
        let isDirect = core.pointee.resumesDirectly && #isolation == nil
        await suspendInPlace {
            core.pointee.budget.postpone(LoopWord(resuming: $0, directly: isDirect), isBulk: false)
        }
    }
}
