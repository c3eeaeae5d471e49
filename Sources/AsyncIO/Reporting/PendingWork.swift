/// A piece of work that is pending on a loop, for the reports of tests.
package struct PendingWork {
    package let text: String
    package let endedBy: EndingCause
}

extension EventLoop {
    /// The callbacks, timers, tasks, connections, servers and watchers of the loop, each once.
    package final var pendingWork: [PendingWork] {
        requireOnLoop("pendingWork")
        var work: [PendingWork] = []
        for id in core.pointee.callbacks.ids {
            guard let callback = core.pointee.callbacks[id]?.pointee else { continue }
            // A callback that resumes a task is not listed, because the task is.
            guard callback.body != nil else { continue }
            let isRepeating = callback.repeatingTimer != nil
            let kind = isRepeating ? "a repeating timer" : callback.isTimer ? "a timer" : "a callback"
            work.append(PendingWork(text: "\(kind) scheduled at \(callback.site)", endedBy: .none))
        }
        let tasks = self.tasks
        work += tasks.map { PendingWork(text: "task \($0)", endedBy: $0.state == .waiting ? .peer : .thread) }
        let others = core.pointee.waiters.count - tasks.count { $0.state == .waiting }
        if others > 0 {
            work.append(PendingWork(text: "\(others) waiting tasks that the loop did not start", endedBy: .peer))
        }
        for id in core.pointee.sources.ids {
            guard let source = core.pointee.sources[id]?.pointee, !source.isInternal else { continue }
            let site = source.origin.map { " created at \($0)" } ?? ""
            work.append(PendingWork(text: source.label + site, endedBy: source.endedBy))
        }
        return work
    }
}
