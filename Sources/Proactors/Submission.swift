/// An operation that a proactor is asked to carry out.
///
/// The memory that it names belongs to the submitter and must stay as it is until the completion arrived, also after a
/// cancellation.
@frozen
public enum Submission {
    /// Receive from a stream socket; completes with the count, 0 at the end.
    case receive(socket: CInt, into: UnsafeMutableRawBufferPointer)
    /// Send on a stream socket; completes with the count, which may be short.
    case send(socket: CInt, bytes: UnsafeRawBufferPointer)
    /// Complete once when the descriptor is readable.
    case pollReadable(descriptor: CInt)
}

/// How an operation ended.
@frozen
public struct Completion: Sendable, Hashable {
    /// What was given at the submission.
    public var token: UInt64
    /// The result, or a negated `errno`.
    public var result: Int

    @inlinable
    public init(token: UInt64, result: Int) {
        self.token = token
        self.result = result
    }
}
