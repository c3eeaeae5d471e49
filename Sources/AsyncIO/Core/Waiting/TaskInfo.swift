/// A snapshot of a task that a loop started.
public struct TaskInfo: Sendable, Identifiable, CustomStringConvertible {
    /// What a task does. More states may be added.
    public struct State: Sendable, Hashable, CustomStringConvertible {
        private let name: String

        /// The task has not run its first step.
        public static let created = State(name: "created")
        /// The task is running now.
        public static let running = State(name: "running")
        /// The task waits in an operation of its loop.
        public static let waiting = State(name: "waiting")
        /// The task is queued, or waits for something outside of its loop: another task, an actor, a continuation.
        public static let suspended = State(name: "suspended")

        /// The name of the constant, such as `waiting`.
        public var description: String { name }
    }

    /// A number that the loop counts up from 1, in the order of creation.
    public let id: UInt64
    /// The name that was given to `createTask`.
    public let name: String?
    /// What the task was doing when the snapshot was taken.
    public let state: State
    /// Whether the loop has received a cancellation of the task.
    public let isCancelled: Bool
    /// Where the task was created.
    public let createdAt: CallSite

    /// One line, such as `main waiting, created at App/main.swift:7`.
    public var description: String {
        "\(name ?? "Task-\(id)") \(state)\(isCancelled ? ", cancelled" : ""), created at \(createdAt)"
    }
}

extension EventLoop {
    /// The current task, if this loop started it. asyncio: `current_task`.
    /// `nil` in callbacks, and in tasks that the loop did not start, such as child tasks of Swift's groups.
    public final var currentTask: TaskInfo? {
        requireOnLoop("currentTask")
        return core.pointee.tasks[.current]?.info
    }

    /// The tasks that this loop started and that have not ended, in the order of their creation. asyncio: `all_tasks`.
    public final var tasks: [TaskInfo] {
        requireOnLoop("tasks")
        return core.pointee.tasks.records.map(\.info)
    }
}
