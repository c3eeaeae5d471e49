public import AsyncIO
import Synchronization

/// A clock that stands still until it is advanced. A loop over a scripted selector advances it to the next timer
/// instead of waiting.
public final class VirtualClock: EventLoopClock, @unchecked Sendable {
    private let nanoseconds: Atomic<Int64>

    /// Creates a clock that stands at `start`.
    public init(startingAt start: LoopInstant = LoopInstant(nanoseconds: 0)) {
        nanoseconds = Atomic(start.nanoseconds)
    }

    public override var now: LoopInstant { LoopInstant(nanoseconds: nanoseconds.load(ordering: .relaxed)) }

    public override var resolution: Duration { .nanoseconds(1) }

    /// Advances the clock.
    ///
    /// - Thread: any.
    public func advance(by duration: Duration) {
        nanoseconds.add(duration.wholeNanoseconds, ordering: .relaxed)
    }
}
