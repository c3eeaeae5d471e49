public import AsyncIOSystem

/// One event of a wait: a descriptor is ready.
public struct ReadyEvent: Sendable, Hashable {
    /// The token of the registration.
    public var token: UInt64
    /// The directions in which the descriptor is ready, and hints.
    public var readiness: Readiness

    @inlinable public init(token: UInt64, readiness: Readiness) {
        self.token = token
        self.readiness = readiness
    }
}
