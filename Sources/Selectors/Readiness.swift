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
    /// The peer is gone or will send no more: reading meets the end after the bytes that are left. A hint that comes with
    /// `read`; not every system gives it.
    @inlinable public static var hangup: Readiness { Readiness(rawValue: 4) }
    /// Urgent data came (RFC 6093): a receive stops in front of it, although there may be more. A hint as `hangup` is.
    @inlinable public static var urgent: Readiness { Readiness(rawValue: 8) }
}

/// One descriptor that is ready, as a wait reports it.
@frozen
public struct ReadyEvent: Sendable, Hashable {
    /// What was given at the registration.
    public var token: UInt64
    public var readiness: Readiness

    @inlinable
    public init(token: UInt64, readiness: Readiness) {
        self.token = token
        self.readiness = readiness
    }
}
