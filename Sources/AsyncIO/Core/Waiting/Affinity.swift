extension EventLoop {
    /// Returns whether the current task can wait without leaving the loop, and its record, if the loop started it.
    ///
    /// Without affinity (`isolation` is the caller's) the task must hop, because it would continue elsewhere after a
    /// suspension, or on the thread that holds its actor.
    final func affinityRecord(_ isolation: (any Actor)?) -> (hasAffinity: Bool, record: TaskRecord?) {
        if !allowsAffinity(of: isolation) { return (false, nil) }
        if let record = core.pointee.tasks[.current] { return (true, record) }
        return (currentTaskHasAffinity, nil)
    }

    /// As ``affinityRecord(_:)``, for an object that remembers its task.
    @inline(__always)
    final func affinityRecord(
        _ binding: inout TaskBinding, _ isolation: (any Actor)?
    ) -> (hasAffinity: Bool, record: TaskRecord?) {
        let (hasAffinity, record) = unretainedAffinityRecord(&binding, isolation)
        return (hasAffinity, record?.takeUnretainedValue())
    }

    /// As ``affinityRecord(_:_:)``, without retaining the record.
    /// SAFETY: the current task's first frame retains the record, so it lives as long as the task.
    @inline(__always)
    final func unretainedAffinityRecord(
        _ binding: inout TaskBinding, _ isolation: (any Actor)?
    ) -> (hasAffinity: Bool, record: Unmanaged<TaskRecord>?) {
        if !allowsAffinity(of: isolation) { return (false, nil) }
        if let record = binding.current(on: self) { return (true, record) }
        return (currentTaskHasAffinity, nil)
    }

    /// Runs `operation`, with the record to wait with, directly if the task resumes on the loop, otherwise after a hop.
    final nonisolated(nonsending) func withAffinity<Result>(
        _ function: StaticString = #function, _ operation: nonisolated(nonsending) (TaskRecord?) async throws -> Result
    ) async throws -> Result {
        if isOnLoop {
            let (hasAffinity, record) = affinityRecord(#isolation)
            if hasAffinity { return try await operation(record) }
        }
        return try await hop(function) { try await operation(nil) }
    }
}

/// Remembers the record of the task that last used an object, so that a stream looks it up once, not at every wait.
struct TaskBinding: ~Copyable {
    private var record = Retained<TaskRecord>(nil)

    @inline(__always) mutating func current(on loop: EventLoop) -> Unmanaged<TaskRecord>? {
        let current = TaskIdentity.current
        // A task that has ended may have left its address to another one.
        if let record = record.unretained,
            record._withUnsafeGuaranteedRef({ $0.identity == current && !$0.isFinished })
        {
            return record
        }
        return bind(to: current, on: loop)
    }

    @inline(never)
    private mutating func bind(to current: TaskIdentity, on loop: EventLoop) -> Unmanaged<TaskRecord>? {
        record.replace(by: loop.core.pointee.tasks[current])
        return record.unretained
    }
}
