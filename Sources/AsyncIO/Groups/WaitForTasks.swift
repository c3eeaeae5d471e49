/// The condition that ends a wait for several tasks. asyncio: `ALL_COMPLETED`, `FIRST_COMPLETED`, `FIRST_EXCEPTION`.
public struct WaitCondition: Sendable, Hashable, CustomStringConvertible {
    private enum Kind {
        case all, first, firstError
    }

    private let kind: Kind

    /// All tasks have ended.
    public static let allCompleted = WaitCondition(kind: .all)
    /// At least one task has ended.
    public static let firstCompleted = WaitCondition(kind: .first)
    /// A task has failed, or all tasks have ended. A cancelled task does not count as failed.
    public static let firstError = WaitCondition(kind: .firstError)

    fileprivate func isMet(_ completions: Completions, of count: Int) -> Bool {
        if completions.ended.count == count { return true }
        return switch kind {
        case .all: false
        case .first: !completions.ended.isEmpty
        case .firstError: completions.errors.values.contains { !($0 is CancellationError) }
        }
    }

    /// The name of the constant, such as `firstCompleted`.
    public var description: String {
        self == .allCompleted ? "allCompleted" : self == .firstCompleted ? "firstCompleted" : "firstError"
    }
}

/// Waits for tasks, and returns those that have ended and those that have not, in the array's order. asyncio: `wait`.
///
/// ```swift
/// var pending = addresses.map { address in loop.createTask { try await load(address) } }
/// while !pending.isEmpty {
///     let done: [Task<String, any Error>]
///     (done, pending) = try await wait(for: pending, until: .firstCompleted)
///     for task in done { print(try await task.value) }
/// }
/// ```
///
/// The function cancels no task, and an expired time limit is not an error; with a limit of zero or less, the function
/// does not wait. A cancellation of the caller ends the wait with a `CancellationError`, and does not affect the tasks.
/// Throws `.invalidArgument` if there are no tasks, and `.notRunning` without a running loop.
public func wait<Success: Sendable, Failure: Error>(
    for tasks: [Task<Success, Failure>], within limit: Duration? = nil, until condition: WaitCondition = .allCompleted,
    fileID: StaticString = #fileID, line: UInt = #line
) async throws -> (done: [Task<Success, Failure>], pending: [Task<Success, Failure>]) {
    let loop = try getRunningLoop()
    if tasks.isEmpty { throw EventLoopError(.invalidArgument, "wait(for:) needs at least one task") }
    let site = CallSite(fileID: fileID, line: line)
    let ended = try await loop.withAffinity { record in
        if loop.isClosed { throw EventLoopError.closed }
        let completions = Completions(loop: loop, site: site)
        for (index, task) in tasks.enumerated() { completions.watch(index, task) }
        let alarm = Alarm(loop, limit, site) { completions.wake() }
        defer { alarm.cancel() }
        while !condition.isMet(completions, of: tasks.count), !alarm.hasRung {
            if try await !completions.waitForNext(record) { throw CancellationError() }
        }
        return Set(completions.ended)
    }
    return (
        tasks.indices.filter { ended.contains($0) }.map { tasks[$0] },
        tasks.indices.filter { !ended.contains($0) }.map { tasks[$0] }
    )
}

/// Waits for a task, and cancels it if that takes longer than `limit`. asyncio: `wait_for`.
///
/// ```swift
/// let task = loop.createTask { try await load(address) }
/// let page = try await wait(for: task, within: .seconds(5))
/// ```
///
/// Always returns after the task has ended. Throws `.timedOut` if the time limit expired and the task then ended with a
/// `CancellationError`; a value or another error of the task is passed on. With a limit of zero or less, a task that
/// has not ended is cancelled. A cancellation of the caller cancels the task. For a body instead of a task, see
/// ``withTimeout(_:fileID:line:_:)``. Throws `.notRunning` without a running loop.
public func wait<Success: Sendable, Failure: Error>(
    for task: Task<Success, Failure>, within limit: Duration, fileID: StaticString = #fileID, line: UInt = #line
) async throws -> Success {
    let loop = try getRunningLoop()
    let site = CallSite(fileID: fileID, line: line)
    let hasTimedOut = try await loop.withAffinity { record in
        if loop.isClosed { throw EventLoopError.closed }
        let completions = Completions(loop: loop, site: site)
        completions.watch(0, task)
        if completions.ended.isEmpty {
            let alarm = Alarm(loop, limit, site) { task.cancel() }
            defer { alarm.cancel() }
            var wasCancelled = false
            while completions.ended.isEmpty {
                if try await !completions.waitForNext(record) {
                    wasCancelled = true
                    task.cancel()
                }
            }
            return alarm.hasRung && !wasCancelled && completions.errors[0] is CancellationError
        }
        return false
    }
    if hasTimedOut { throw EventLoopError(.timedOut, "the task took longer than its time limit of \(limit)") }
    return try await task.value
}

/// The time limit of a wait.
final class Alarm {
    private(set) var hasRung = false
    private let loop: EventLoop
    private var timer: TimerHandle?

    /// Calls `ring` when the limit has expired: at once for a limit of zero or less, never for `nil`.
    init(_ loop: EventLoop, _ limit: Duration?, _ site: CallSite, _ ring: @escaping () -> Void) {
        self.loop = loop
        guard let limit else { return }
        if limit <= .zero {
            hasRung = true
            ring()
            return
        }
        timer = loop.callLater(after: limit, fileID: site.fileID, line: site.line) { [unowned self] in
            hasRung = true
            ring()
        }
    }

    /// Cancels the alarm, on any thread, because a sequence may be released anywhere.
    func cancel() {
        guard let timer, !hasRung else { return }
        if loop.isOnLoop { timer.cancel() } else { _ = try? loop.callSoonThreadsafe { timer.cancel() } }
    }
}
