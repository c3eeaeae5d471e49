import CAsyncIO

/// The monotonic clock of the system, CLOCK_MONOTONIC, which loops use.
public enum MonotonicClock {
    /// The current instant. Reading it takes about 20 ns.
    public static var now: LoopInstant { LoopInstant(nanoseconds: aio_monotonic_nanoseconds()) }

    /// The smallest step of the clock.
    public static var resolution: Duration { .nanoseconds(aio_monotonic_resolution_nanoseconds()) }
}
