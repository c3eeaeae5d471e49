/// What ends a wait for several tasks. asyncio: `ALL_COMPLETED`, `FIRST_COMPLETED`, `FIRST_EXCEPTION`.
public struct WaitCondition: Sendable, Hashable {
    private enum Kind {
        case all, first, firstError
    }

    private let kind: Kind

    /// The end of the last task.
    public static let allCompleted = WaitCondition(kind: .all)
    /// The end of the first task.
    public static let firstCompleted = WaitCondition(kind: .first)
    /// The first error of a task, or the end of the last one. A task that was cancelled does not count as one that failed.
    public static let firstError = WaitCondition(kind: .firstError)

    fileprivate func isMet(_ completions: Completions, of count: Int) -> Bool {
        if completions.ended.count == count { return true }
        return switch kind {
        case .all: false
        case .first: !completions.ended.isEmpty
        case .firstError: completions.errors.values.contains { !($0 is CancellationError) }
        }
    }
}

/// Waits for tasks, and returns those that have ended and those that have not, each in the order of the array. asyncio: `wait`.
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
/// It cancels no task, and a time limit that passes is no error. The errors of the tasks are left to those who await them. A
/// cancellation of the caller ends the wait with a `CancellationError`, and leaves the tasks alone. Throws `.invalidArgument`
/// for no tasks, and `.notRunning` without a running loop.
///
/// - Parameters:
///   - limit: How long to wait; `nil` waits without a limit. Zero or less returns what is there.
///   - condition: What to wait for.
public func wait<Success: Sendable, Failure: Error>(
    for tasks: [Task<Success, Failure>], within limit: Duration? = nil, until condition: WaitCondition = .allCompleted,
    fileID: StaticString = #fileID, line: UInt = #line
) async throws -> (done: [Task<Success, Failure>], pending: [Task<Success, Failure>]) {
    let loop = try getRunningLoop()
    if tasks.isEmpty { throw EventLoopError(.invalidArgument, "there is no task to wait for") }
    let site = CallSite(fileID: fileID, line: line)
    let ended = try await loop.atHome { record in
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

/// Waits for a task, and cancels it when that takes longer than `limit`. asyncio: `wait_for`.
///
/// ```swift
/// let task = loop.createTask { try await load(address) }
/// let page = try await wait(for: task, within: .seconds(5))
/// ```
///
/// Returns when the task has ended in any case. Throws `.timedOut` if the time passed and the task then ended by its cancellation;
/// a value or another error that it came to is passed on. A limit of zero or less gives the value of a task that has
/// ended, or cancels it. A cancellation of the caller cancels the task. For a body instead of a task, see
/// ``withTimeout(_:fileID:line:_:)``. Throws `.notRunning` without a running loop.
public func wait<Success: Sendable, Failure: Error>(
    for task: Task<Success, Failure>, within limit: Duration, fileID: StaticString = #fileID, line: UInt = #line
) async throws -> Success {
    let loop = try getRunningLoop()
    let site = CallSite(fileID: fileID, line: line)
    let hasTimedOut = try await loop.atHome { record in
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

    /// - Parameter ring: Called when the limit has passed; at once for a limit of zero or less, never for `nil`.
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

    /// Any thread: a sequence may be dropped anywhere.
    func cancel() {
        guard let timer, !hasRung else { return }
        if loop.isOnLoop { timer.cancel() } else { _ = try? loop.callSoonThreadsafe { timer.cancel() } }
    }
}

extension WaitCondition: CustomStringConvertible {
    /// The name of the constant, such as `firstCompleted`.
    public var description: String {
        self == .allCompleted ? "allCompleted" : self == .firstCompleted ? "firstCompleted" : "firstError"
    }
}
