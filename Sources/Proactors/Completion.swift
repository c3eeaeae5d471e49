/// What an operation has resulted in.
@frozen
public struct Completion: Sendable, Hashable {
    /// The token of the submission.
    public var token: UInt64
    /// The result, or a negated `errno`.
    public var result: Int
    /// Whether the operation goes on and completes again.
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
