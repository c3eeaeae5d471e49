import CAsyncIO

/// The system's monotonic clock, as loops read it (CLOCK_MONOTONIC).
public enum MonotonicClock {
    /// The present. About 20 ns.
    public static var now: LoopInstant { LoopInstant(nanoseconds: aio_monotonic_nanoseconds()) }

    /// The smallest step of the clock.
    public static var resolution: Duration { .nanoseconds(aio_monotonic_resolution_nanoseconds()) }
}
