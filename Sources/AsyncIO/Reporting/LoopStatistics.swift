import Synchronization

/// Counters of what a loop contains and has done.
public struct LoopStatistics: Sendable, Equatable {
    /// The number of scheduled callbacks and timers.
    public var callbacks = 0
    /// The number of entries of the timer heap, including cancelled timers.
    public var timers = 0
    /// The number of tasks that wait in an operation of this loop.
    public var waitingTasks = 0
    /// The number of tasks of the loop that have not ended.
    public var tasks = 0
    /// The number of transports, servers and watchers.
    public var sources = 0
    /// The number of errors that went to the exception handler so far.
    public var unhandledErrors = 0
    /// The number of operations that hopped to the loop so far. Each costs two thread switches.
    public var hops = 0
    /// The number of suspensions in operations of this loop so far.
    public var suspensions = 0
    /// The number of iterations so far. Each waits at most once in the kernel.
    public var ticks = 0
}

extension EventLoop {
    /// The current counters of the loop.
    public final var statistics: LoopStatistics {
        requireOnLoop("statistics")
        // The waker's, and that of the main queue, until the loop removes them.
        let ownSources = isClosed ? 0 : core.pointee.mainQueue == nil ? 1 : 2
        return LoopStatistics(
            callbacks: core.pointee.callbacks.count,
            timers: core.pointee.timers.count,
            waitingTasks: core.pointee.waiters.count + core.pointee.tasks.waitingCount,
            tasks: core.pointee.tasks.count,
            sources: core.pointee.sources.count - ownSources,
            unhandledErrors: core.pointee.unhandledErrors,
            hops: hopCount.load(ordering: .relaxed),
            suspensions: core.pointee.suspensions,
            ticks: Int(truncatingIfNeeded: core.pointee.tick))
    }
}
