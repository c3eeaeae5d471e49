public import AsyncIOSystem

/// The result of an operation.
@frozen
public struct Completion: Sendable, Hashable {
    /// The token that was given to `submit`.
    public var token: UInt64
    /// A count, a descriptor or a `Readiness`, or a negated `errno`.
    public var result: Int
    /// Whether the operation continues and will complete again.
    public var hasMore: Bool
    /// The buffer of the pool that has the received bytes. It belongs to the receiver of the completion.
    public var buffer: PooledBuffer?

    @inlinable
    public init(token: UInt64, result: Int, hasMore: Bool = false, buffer: PooledBuffer? = nil) {
        self.token = token
        self.result = result
        self.hasMore = hasMore
        self.buffer = buffer
    }
}

extension Completion: CustomStringConvertible {
    /// Such as `result 5 for token 7`; a negative result is an errno.
    public var description: String {
        "result \(result) for token \(token)\(buffer.map { " in a \($0)" } ?? "")\(hasMore ? ", more to come" : "")"
    }
}
