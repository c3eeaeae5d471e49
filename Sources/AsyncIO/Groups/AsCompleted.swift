/// Returns the tasks of an array one by one, each as soon as it has ended. asyncio: `as_completed`.
///
/// ```swift
/// let tasks = addresses.map { address in loop.createTask { try await load(address) } }
/// for try await task in asCompleted(tasks, within: .seconds(10)) {
///     print(try await task.value)
/// }
/// ```
///
/// The sequence contains the tasks themselves; the value or error of each is available at once. The function cancels no
/// task. The iteration throws `.timedOut` when `limit` has expired, which begins with its first step,
/// `CancellationError` when the caller was cancelled, and `.notRunning` without a running loop.
public func asCompleted<Success: Sendable, Failure: Error>(
    _ tasks: [Task<Success, Failure>], within limit: Duration? = nil, fileID: StaticString = #fileID,
    line: UInt = #line
) -> LoopSequence<Task<Success, Failure>, any Error> {
    let tasks = CompletedTasks(tasks, limit, CallSite(fileID: fileID, line: line))
    return LoopSequence(of: tasks) {
        try await unsafeDowncast($0, to: CompletedTasks<Success, Failure>.self).next()
    }
}

private final class CompletedTasks<Success: Sendable, Failure: Error>: CustomStringConvertible {
    private let tasks: [Task<Success, Failure>]
    private let limit: Duration?
    private let site: CallSite
    private var completions: Completions?
    private var alarm: Alarm?
    private var returnedCount = 0

    init(_ tasks: [Task<Success, Failure>], _ limit: Duration?, _ site: CallSite) {
        self.tasks = tasks
        self.limit = limit
        self.site = site
    }

    deinit {
        // The iteration was left early.
        alarm?.cancel()
    }

    func next() async throws -> Task<Success, Failure>? {
        if returnedCount == tasks.count { return nil }
        let completions = try completions ?? Completions(loop: getRunningLoop(), site: site)
        return try await completions.loop.withAffinity { record in
            if self.completions == nil { start(completions) }
            while completions.ended.count == returnedCount {
                if let alarm, alarm.hasRung {
                    throw EventLoopError(.timedOut, "the tasks took longer than their time limit")
                }
                if try await !completions.waitForNext(record) { throw CancellationError() }
            }
            defer { returnedCount += 1 }
            return tasks[completions.ended[returnedCount]]
        }
    }

    private func start(_ completions: Completions) {
        self.completions = completions
        alarm = Alarm(completions.loop, limit, site) { completions.wake() }
        for (index, task) in tasks.enumerated() { completions.watch(index, task) }
    }

    var description: String { "\(tasks.count) tasks" }
}
