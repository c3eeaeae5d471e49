/// The result of an operation.
@frozen
public struct Completion: Sendable, Hashable {
    /// The token that was given to `submit`.
    public var token: UInt64
    /// A count, a descriptor or a `Readiness`, or a negated `errno`.
    public var result: Int
    /// Whether the operation continues and will complete again.
    public var hasMore: Bool

    @inlinable
    public init(token: UInt64, result: Int, hasMore: Bool = false) {
        self.token = token
        self.result = result
        self.hasMore = hasMore
    }
}

extension Completion: CustomStringConvertible {
    /// Such as `result 5 for token 7`; a negative result is an errno.
    public var description: String { "result \(result) for token \(token)\(hasMore ? ", more to come" : "")" }
}
