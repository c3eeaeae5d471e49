/// How a task may wait on a loop.
enum WaitingTask {
    /// The loop started it: its record wakes it when it is cancelled.
    case recorded(TaskRecord)
    /// It prefers this loop, so it comes back to it.
    case home
    /// It would go on elsewhere after a suspension, or on whichever thread holds its actor; it must hop for the
    /// operation.
    case foreign

    /// Whether it comes back to the loop by itself.
    var isHome: Bool {
        if case .foreign = self { false } else { true }
    }
}

extension EventLoop {
    /// How the current task may wait here, in code with this isolation. The loop's thread.
    final func waitingTask(_ isolation: (any Actor)?) -> WaitingTask {
        if !isHome(of: isolation) { return .foreign }
        if let record = core.pointee.runningTasks[.current] { return .recorded(record) }
        return isHomeOfCurrentTask ? .home : .foreign
    }

    /// Runs `operation` where the task can wait: at once if it is at home on the loop, else by a hop.
    ///
    /// `operation` gets the record to wait with; `function` is whose wait it is, for debug mode.
    final nonisolated(nonsending) func atHome<Result>(
        _ function: StaticString = #function, _ operation: nonisolated(nonsending) (TaskRecord?) async throws -> Result
    ) async throws -> Result {
        if isOnLoop {
            switch waitingTask(#isolation) {
            case .recorded(let record): return try await operation(record)
            case .home: return try await operation(nil)
            case .foreign: break
            }
        }
        return try await hop(function) { try await operation(nil) }
    }

    /// What a wait's outcome means for the caller.
    final func check(_ outcome: Waiter.Outcome) throws {
        switch outcome {
        case .ready, .pending: break
        case .cancelled: throw CancellationError()
        case .closed: throw EventLoopError.closed
        }
    }
}
