/// The operations that a descriptor is ready for, as a wait reports them. ``Interest`` is the set that it is watched
/// for.
@frozen
public struct Readiness: OptionSet, Sendable, Hashable {
    public var rawValue: UInt8

    @inlinable public init(rawValue: UInt8) {
        self.rawValue = rawValue
    }

    /// A read would not block: it returns bytes or EOF, or fails with an error. Python: `EVENT_READ`.
    @inlinable public static var read: Readiness { Readiness(rawValue: 1) }
    /// A write would not block: the send buffer has room, or the write fails with an error. Python: `EVENT_WRITE`.
    @inlinable public static var write: Readiness { Readiness(rawValue: 2) }
    /// The peer has closed or reset the connection, or has shut down its write side: reading meets EOF or an error
    /// after the bytes that are left. It is a hint that accompanies ``read``, and not every system provides it.
    @inlinable public static var hangup: Readiness { Readiness(rawValue: 4) }
    /// Urgent data has arrived (RFC 6093): a receive stops before it, although more bytes may follow. It is a hint like
    /// ``hangup``.
    @inlinable public static var urgent: Readiness { Readiness(rawValue: 8) }
}
