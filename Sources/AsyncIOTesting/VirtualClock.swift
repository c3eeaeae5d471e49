public import AsyncIO
import Synchronization

/// A clock that stands still until it is advanced. A loop in virtual time advances it to the next timer instead of
/// waiting.
public final class VirtualClock: EventLoopClock, @unchecked Sendable {
    private let nanoseconds: Atomic<Int64>
    private let settlingNanoseconds = Atomic<Int64>(1_000_000)
    /// The waits of the loop that has this clock.
    ///
    /// - Thread: the loop's.
    package let waits = VirtualWaits()

    /// Creates a clock that stands at `start`.
    public init(startingAt start: LoopInstant = LoopInstant(nanoseconds: 0)) {
        nanoseconds = Atomic(start.nanoseconds)
    }

    public override var now: LoopInstant { LoopInstant(nanoseconds: nanoseconds.load(ordering: .relaxed)) }

    public override var resolution: Duration { .nanoseconds(1) }

    /// How long, in real time, no descriptor may be ready before the loop advances the clock. A millisecond by default.
    ///
    /// Bytes that one socket of the loop sends to another usually arrive at once, but the kernel does not guarantee it.
    /// A test whose timers race with other threads or processes sets a longer time, so that they come first. With zero,
    /// a test that has only timers takes no real time.
    ///
    /// - Thread: any.
    public var settlingTime: Duration {
        get { .nanoseconds(settlingNanoseconds.load(ordering: .relaxed)) }
        set { settlingNanoseconds.store(newValue.wholeNanoseconds, ordering: .relaxed) }
    }

    /// Advances the clock. `clock.advance(by: .seconds(60))` in a callback simulates work that takes a minute.
    ///
    /// - Thread: any.
    public func advance(by duration: Duration) {
        nanoseconds.add(duration.wholeNanoseconds, ordering: .relaxed)
    }
}
