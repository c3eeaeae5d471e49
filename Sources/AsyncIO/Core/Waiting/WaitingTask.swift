/// How a task can wait on a loop.
enum WaitingTask {
    /// The loop started the task, and its record wakes it when it is cancelled.
    case recorded(TaskRecord)
    /// The task prefers this loop, so it resumes there.
    case unrecorded
    /// After a suspension, the task would continue elsewhere, or on the thread that holds its actor. It must hop for
    /// the operation.
    case foreign

    /// Whether the task resumes on the loop without a hop.
    var hasAffinity: Bool {
        if case .foreign = self { false } else { true }
    }
}

extension EventLoop {
    /// Returns how the current task can wait, in code with this isolation.
    ///
    /// - Thread: the loop's.
    final func waitingTask(_ isolation: (any Actor)?) -> WaitingTask {
        if !allowsAffinity(of: isolation) { return .foreign }
        if let record = core.pointee.runningTasks[.current] { return .recorded(record) }
        return currentTaskHasAffinity ? .unrecorded : .foreign
    }

    /// Runs `operation` where the task can wait: directly if the task resumes on the loop, otherwise after a hop.
    ///
    /// `operation` gets the record to wait with; `function` is the waiting function, for debug mode.
    final nonisolated(nonsending) func withAffinity<Result>(
        _ function: StaticString = #function, _ operation: nonisolated(nonsending) (TaskRecord?) async throws -> Result
    ) async throws -> Result {
        if isOnLoop {
            switch waitingTask(#isolation) {
            case .recorded(let record): return try await operation(record)
            case .unrecorded: return try await operation(nil)
            case .foreign: break
            }
        }
        return try await hop(function) { try await operation(nil) }
    }

    /// Throws what the outcome of a wait means for the caller.
    final func check(_ outcome: Waiter.Outcome) throws {
        switch outcome {
        case .ready, .pending: break
        case .cancelled: throw CancellationError()
        case .closed: throw EventLoopError.closed
        }
    }
}
