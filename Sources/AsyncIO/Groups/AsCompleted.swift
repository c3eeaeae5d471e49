/// Returns the tasks of an array one by one, each as soon as it has ended. asyncio: `as_completed`.
///
/// ```swift
/// let tasks = addresses.map { address in loop.createTask { try await load(address) } }
/// for try await task in asCompleted(tasks, within: .seconds(10)) {
///     print(try await task.value)
/// }
/// ```
///
/// The sequence contains the tasks themselves, so the program knows which one has ended; the task's value or error is
/// available at once. The function cancels no task. The iteration throws `.timedOut` when the limit has expired,
/// `CancellationError` when the caller was cancelled, and `.notRunning` without a running loop.
///
/// - Parameter limit: The time limit for all tasks, from the first step of the iteration; `nil` sets no limit.
public func asCompleted<Success: Sendable, Failure: Error>(
    _ tasks: [Task<Success, Failure>], within limit: Duration? = nil, fileID: StaticString = #fileID,
    line: UInt = #line
) -> CompletedTasks<Success, Failure> {
    CompletedTasks(tasks: tasks, limit: limit, site: CallSite(fileID: fileID, line: line))
}

/// The sequence that ``asCompleted(_:within:fileID:line:)`` returns.
public struct CompletedTasks<Success: Sendable, TaskFailure: Error>: AsyncSequence {
    public typealias Element = Task<Success, TaskFailure>
    public typealias Failure = any Error

    let tasks: [Task<Success, TaskFailure>]
    let limit: Duration?
    let site: CallSite

    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(sequence: self) }

    public struct AsyncIterator: AsyncIteratorProtocol {
        let sequence: CompletedTasks
        private var state: CompletedTasksState?
        private var givenCount = 0

        init(sequence: CompletedTasks) {
            self.sequence = sequence
        }

        public mutating func next() async throws -> Element? {
            try await nextCompleted()
        }

        // Stays on the caller's isolation, so there is no hop.
        public mutating func next(isolation actor: isolated (any Actor)?) async throws(any Error) -> Element? {
            try await nextCompleted()
        }

        private mutating func nextCompleted() async throws -> Element? {
            if givenCount == sequence.tasks.count { return nil }
            let state = try self.state ?? CompletedTasksState(getRunningLoop(), sequence.limit, sequence.site)
            let isFirst = self.state == nil
            self.state = state
            let (tasks, count) = (sequence.tasks, givenCount)
            let index = try await state.loop.withAffinity { record in
                if isFirst { for (index, task) in tasks.enumerated() { state.completions.watch(index, task) } }
                return try await state.index(at: count, record)
            }
            givenCount += 1
            if givenCount == tasks.count { state.alarm?.cancel() }
            return tasks[index]
        }
    }
}

/// The state that all steps of an iteration share.
private final class CompletedTasksState {
    let loop: EventLoop
    let completions: Completions
    private(set) var alarm: Alarm?

    init(_ loop: EventLoop, _ limit: Duration?, _ site: CallSite) {
        self.loop = loop
        completions = Completions(loop: loop, site: site)
        alarm = Alarm(loop, limit, site) { [completions] in completions.wake() }
    }

    deinit {
        // The iteration was left early.
        alarm?.cancel()
    }

    func index(at position: Int, _ record: TaskRecord?) async throws -> Int {
        while completions.ended.count <= position {
            if let alarm, alarm.hasRung {
                throw EventLoopError(.timedOut, "the tasks took longer than their time limit")
            }
            if try await !completions.waitForNext(record) { throw CancellationError() }
        }
        return completions.ended[position]
    }
}

extension CompletedTasks: CustomStringConvertible {
    /// Such as `<CompletedTasks of 3 tasks>`.
    public var description: String { "<CompletedTasks of \(tasks.count) tasks>" }
}

extension CompletedTasks.AsyncIterator: CustomStringConvertible {
    /// Names the sequence.
    public var description: String { "<iterator of \(sequence)>" }
}
