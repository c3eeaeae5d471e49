/// The directions for which a descriptor is watched. ``Readiness`` is what a wait reports.
///
/// Nothing else can be requested, because a selector reports errors, hang-ups and hints in any case. `init(rawValue:)`
/// ignores all other bits.
@frozen
public struct Interest: OptionSet, Sendable, Hashable {
    /// The bits of ``Readiness`` for the same directions.
    public let rawValue: UInt8

    /// Creates the interest of these bits, of which only those of ``read`` and ``write`` count.
    @inlinable public init(rawValue: UInt8) {
        self.rawValue = rawValue & 3
    }

    /// The directions of `readiness`, without its hints.
    @inlinable public init(_ readiness: Readiness) {
        self.init(rawValue: readiness.rawValue)
    }

    /// Reading: bytes, connections to accept, EOF. Python: `EVENT_READ`.
    @inlinable public static var read: Interest { Interest(rawValue: 1) }
    /// Writing: room in the send buffer, or the result of a connect. Python: `EVENT_WRITE`.
    @inlinable public static var write: Interest { Interest(rawValue: 2) }
}

extension Readiness {
    /// Readiness in all directions of `interest`.
    @inlinable public init(_ interest: Interest) {
        self.init(rawValue: interest.rawValue)
    }

    /// Returns the directions of `interest` that are ready, without hints.
    @inlinable public func matching(_ interest: Interest) -> Readiness {
        intersection(Readiness(interest))
    }
}
