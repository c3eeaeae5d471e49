/// What a descriptor is ready for, as a wait reports it. ``Interest`` is what it is watched for.
@frozen
public struct Readiness: OptionSet, Sendable, Hashable {
    public var rawValue: UInt8

    @inlinable
    public init(rawValue: UInt8) {
        self.rawValue = rawValue
    }

    /// A read would not block: there are bytes, an end or an error to collect. Python: `EVENT_READ`.
    @inlinable public static var read: Readiness { Readiness(rawValue: 1) }
    /// A write would not block: there is room, or an error to collect. Python: `EVENT_WRITE`.
    @inlinable public static var write: Readiness { Readiness(rawValue: 2) }
    /// The peer is gone or will send no more: reading meets the end after the bytes that are left. A hint that comes
    /// with `read`; not every system gives it.
    @inlinable public static var hangup: Readiness { Readiness(rawValue: 4) }
    /// Urgent data came (RFC 6093): a receive stops in front of it, although there may be more. A hint as `hangup` is.
    @inlinable public static var urgent: Readiness { Readiness(rawValue: 8) }
}
