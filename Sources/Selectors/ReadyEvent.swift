public import AsyncIOSystem

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
