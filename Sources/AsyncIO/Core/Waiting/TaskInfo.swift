/// What can be said of a task that a loop started: a snapshot.
public struct TaskInfo: Sendable, Identifiable, CustomStringConvertible {
    public enum State: Sendable, Hashable {
        /// It has not run its first step.
        case created
        /// It is the one that runs now.
        case running
        /// It waits in an operation of its loop.
        case waiting
        /// It is queued, or waits for something that its loop does not know: another task, an actor, a continuation.
        case suspended
    }

    /// Counted by the loop, from 1 on, in the order of creation.
    public let id: UInt64
    public let name: String?
    public let state: State
    /// Whether the loop has heard of a cancellation.
    public let isCancelled: Bool
    /// Where the task was created.
    public let createdAt: CallSite

    /// One line, such as `main waiting, created at App/main.swift:7`.
    public var description: String {
        "\(name ?? "Task-\(id)") \(state)\(isCancelled ? ", cancelled" : ""), created at \(createdAt)"
    }
}

extension EventLoop {
    /// The task that runs now, if this loop started it. The loop's thread. asyncio: `current_task`.
    ///
    /// `nil` in callbacks, and in tasks that the loop did not start: child tasks of a group,
    /// `Task(executorPreference:)`.
    public final var currentTask: TaskInfo? {
        requireOnLoop("currentTask")
        return core.pointee.runningTasks[.current]?.info
    }

    /// The tasks that this loop started and that have not ended, in the order of their creation. The loop's thread.
    /// asyncio: `all_tasks`.
    public final var tasks: [TaskInfo] {
        requireOnLoop("tasks")
        return core.pointee.tasks.records.map(\.info).sorted { $0.id < $1.id }
    }
}
