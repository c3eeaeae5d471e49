/// The record of a task with a name and a call site. All tasks have such a record, except those of served connections.
@usableFromInline class CreatedTask: TaskRecord, @unchecked Sendable {
    @usableFromInline final let taskName: String?
    private final let creationSite: CallSite
    /// Receives the task's end and its error, instead of the loop.
    @exclusivity(unchecked) final var whenEnded: (((any Error)?) -> Void)?
    @exclusivity(unchecked) @usableFromInline final var error: (any Error)?

    @usableFromInline init(loop: EventLoop, name: String?, site: CallSite) {
        taskName = name
        creationSite = site
        super.init(loop: loop)
    }

    @inlinable final override var name: String? { taskName }

    final override var site: CallSite { creationSite }

    @inlinable @inline(__always) @concurrent
    final func run<Success>(_ operation: @concurrent () async throws -> Success) async throws -> Success {
        let handler = begin()
        // The result is never a local variable, because its memory would be on the task's stack above the handler.
        defer { end(handler) }
        do {
            return try await operation()
        } catch {
            self.error = error
            throw error
        }
    }

    @inlinable @inline(__always) @concurrent
    final func run<Success>(_ operation: @concurrent () async -> Success) async -> Success {
        let handler = begin()
        defer { end(handler) }
        return await operation()
    }

    override func taskEnded() {
        let error = error.take()
        if let whenEnded = whenEnded.take() {
            whenEnded(error)
        } else if let error, loop.core.pointee.isDraining {
            // The task that would await this one may have ended.
            loop.reportUnread(error, of: self)
        }
    }
}
