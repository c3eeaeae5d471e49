/// An instant on the clock of a loop. asyncio: `loop.time()`.
///
/// The clock is monotonic and counts nanoseconds from an arbitrary instant, so only differences have a meaning.
/// Arithmetic saturates: an instant in three hundred years is a valid deadline.
@frozen
public struct LoopInstant: InstantProtocol, Sendable {
    public var nanoseconds: Int64

    @inlinable public init(nanoseconds: Int64) {
        self.nanoseconds = nanoseconds
    }

    /// The last instant. A timer for it never fires.
    public static let distantFuture = LoopInstant(nanoseconds: .max)

    @inlinable public func advanced(by duration: Duration) -> LoopInstant {
        let (sum, overflow) = nanoseconds.addingReportingOverflow(duration.wholeNanoseconds)
        return LoopInstant(nanoseconds: overflow ? (nanoseconds < 0 ? .min : .max) : sum)
    }

    public func duration(to other: LoopInstant) -> Duration {
        .nanoseconds(other.nanoseconds.subtractingSaturating(nanoseconds))
    }

    @inlinable public static func < (lhs: LoopInstant, rhs: LoopInstant) -> Bool {
        lhs.nanoseconds < rhs.nanoseconds
    }
}

extension Duration {
    /// The duration in nanoseconds, rounded away from zero and saturated to what 64 bits hold.
    ///
    /// Rounded away from zero, so that a timer for less than a nanosecond does not fire early.
    public var wholeNanoseconds: Int64 {
        // The common case, up to two and a half hours, needs no division of 128 bits.
        let attoseconds = attoseconds
        if attoseconds >= 0, attoseconds < 1 << 73 {
            let (whole, rest) = UInt64(truncatingIfNeeded: attoseconds >> 9).quotientAndRemainder(dividingBy: 1_953_125)
            let isWhole = rest == 0 && UInt64(truncatingIfNeeded: attoseconds) & 511 == 0
            return Int64(truncatingIfNeeded: isWhole ? whole : whole + 1)
        }
        return wholeNanosecondsOfAny
    }

    private var wholeNanosecondsOfAny: Int64 {
        // Such a duration may have more seconds than `components` can represent.
        let mostSeconds = Duration.seconds(Int64.max / 1_000_000_000)
        if self > mostSeconds { return .max }
        if self < .zero - mostSeconds { return .min }
        let (seconds, attoseconds) = components
        let (whole, rest) = attoseconds.quotientAndRemainder(dividingBy: 1_000_000_000)
        let fraction = whole + rest.signum()
        return seconds * 1_000_000_000 + fraction
    }
}

extension Int64 {
    /// The difference, or the nearest representable one.
    package func subtractingSaturating(_ other: Int64) -> Int64 {
        let (difference, overflow) = subtractingReportingOverflow(other)
        return overflow ? (self < 0 ? .min : .max) : difference
    }
}
