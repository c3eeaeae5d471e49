import Synchronization

/// What a loop holds and has done, in numbers.
public struct LoopStatistics: Sendable, Equatable {
    /// Callbacks and timers that wait.
    public var callbacks = 0
    /// Entries of the timer heap; cancelled timers count until they are removed.
    public var timers = 0
    /// Tasks that wait in an operation of this loop.
    public var waitingTasks = 0
    /// Tasks that the loop started and that have not ended.
    public var tasks = 0
    /// Transports, servers and watchers.
    public var sources = 0
    /// Errors that went to the exception handler, since the loop was made.
    public var unhandledErrors = 0
    /// Operations that were begun off the loop and had to hop, since the loop was made. Each costs two thread hops.
    public var hops = 0
    /// Suspensions in operations of this loop, since it was made.
    public var suspensions = 0
    /// Iterations of the loop, since it was made. Each waits at most once in the kernel.
    public var ticks = 0
}

extension EventLoop {
    /// What the loop holds. The loop's thread.
    public final var statistics: LoopStatistics {
        requireOnLoop("statistics")
        return LoopStatistics(
            callbacks: core.pointee.callbacks.count,
            timers: core.pointee.timers.count,
            waitingTasks: core.pointee.waiters.count + core.pointee.tasks.records.count { !$0.suspension.isEmpty },
            tasks: core.pointee.tasks.count,
            sources: core.pointee.sources.count - core.pointee.internalSources,
            unhandledErrors: core.pointee.unhandledErrors,
            hops: hopCount.load(ordering: .relaxed),
            suspensions: core.pointee.suspensions,
            ticks: Int(truncatingIfNeeded: core.pointee.tick))
    }
}
