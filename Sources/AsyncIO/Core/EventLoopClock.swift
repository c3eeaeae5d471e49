public import AsyncIOSystem

/// The clock that a loop reads. Override it to control the time in tests.
open class EventLoopClock: @unchecked Sendable, CustomStringConvertible {
    /// Creates a clock that reads the system's monotonic clock, for subclasses that override ``now``.
    public init() {}

    /// The current instant. It never decreases.
    /// - Thread: any.
    open var now: LoopInstant { MonotonicClock.now }

    /// The smallest step of the clock.
    open var resolution: Duration { MonotonicClock.resolution }

    /// The system's monotonic clock.
    public static let system = EventLoopClock()

    /// Such as `<EventLoopClock 12.345 s>`.
    public final var description: String { "<\(type(of: self)) \(now)>" }
}

/// A loop's clock for Swift: `Task.sleep(for: .seconds(1), clock: loop.clock)` waits on the loop's timers.
public struct LoopClock: Clock, CustomStringConvertible {
    /// The loop whose clock this is.
    public let loop: EventLoop

    /// The current instant of the loop's clock.
    public var now: LoopInstant { loop.now }

    /// The smallest step of the loop's clock.
    public var minimumResolution: Duration { loop.clockSource.resolution }

    /// Suspends the task until `deadline`, without tolerance. Throws `CancellationError` when the task is cancelled.
    public func sleep(until deadline: LoopInstant, tolerance: Duration?) async throws {
        try await loop.sleep(until: deadline)
    }

    /// Such as `<LoopClock 12.345 s of <SelectorEventLoop epoll, running>>`.
    public var description: String { "<LoopClock \(now) of \(loop)>" }
}

extension EventLoop {
    /// The loop's clock, for functions that take a `Clock`, on any thread.
    public final var clock: LoopClock { LoopClock(loop: self) }
}
