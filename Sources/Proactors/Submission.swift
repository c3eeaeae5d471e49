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

extension Submission: CustomStringConvertible {
    /// Such as `receive up to 65536 bytes on fd=7`.
    public var description: String {
        switch self {
        case .receive(let socket, let memory): "receive up to \(memory.count) bytes on fd=\(socket)"
        case .send(let socket, let bytes): "send \(bytes.count) bytes on fd=\(socket)"
        case .pollReadable(let descriptor): "poll fd=\(descriptor) for reading"
        }
    }
}

extension Completion: CustomStringConvertible {
    /// Such as `result 5 for token 7`; a negative result is an errno.
    public var description: String { "result \(result) for token \(token)" }
}
