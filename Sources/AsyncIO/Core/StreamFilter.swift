/// Transforms the bytes of a connection on their way between the descriptor and the transport: TLS, compression, a
/// header that a proxy sends first.
///
/// A filter sees no descriptor, and its functions never wait. All memory is the caller's. Each function takes as much
/// of its input as it can, appends to its output what fits, and returns what it did; it is called again with the rest
/// of the input. A filter may retain input of its own, such as an incomplete record; a function is then called with an
/// empty input to get what is left.
///
/// An error that a function throws ends the connection. What the function has appended to its output before is sent all
/// the same, such as an alert.
///
/// ```swift
/// final class Inverter: StreamFilter {
///     func decode(
///         _ input: RawSpan, into output: inout OutputRawSpan, replies: inout OutputRawSpan
///     ) -> StreamFilterResult { invert(input, into: &output) }
///
///     func encode(_ input: RawSpan, into output: inout OutputRawSpan) -> StreamFilterResult {
///         invert(input, into: &output)
///     }
///
///     private func invert(_ input: RawSpan, into output: inout OutputRawSpan) -> StreamFilterResult {
///         let count = min(input.byteCount, output.freeCapacity)
///         for offset in 0..<count {
///             output.append(~input.unsafeLoad(fromByteOffset: offset, as: UInt8.self))
///         }
///         return StreamFilterResult(consumedBytes: count, needsRoom: count < input.byteCount)
///     }
/// }
/// ```
///
/// - Thread: the loop's. A filter belongs to one connection.
public protocol StreamFilter: AnyObject {
    /// Decodes received bytes.
    ///
    /// It is called once with an empty input before anything is received, so that a filter can send a greeting.
    ///
    /// - Parameters:
    ///   - input: The received bytes that have not been consumed; empty if the filter asked for room before.
    ///   - output: Takes the bytes for the consumer of the connection.
    ///   - replies: Takes bytes that are sent to the peer, before anything that the consumer writes from now on.
    func decode(
        _ input: RawSpan, into output: inout OutputRawSpan, replies: inout OutputRawSpan
    ) throws -> StreamFilterResult

    /// Encodes bytes that the consumer of the connection writes. It is not called before ``isEstablished`` is true.
    func encode(_ input: RawSpan, into output: inout OutputRawSpan) throws -> StreamFilterResult

    /// Ends the encoded bytes. It is called once, before EOF is sent to the peer, and before the filter is removed.
    ///
    /// The default implementation appends nothing.
    func finish(into output: inout OutputRawSpan) throws

    /// The peer has sent EOF, although no result of the filter has said that the peer's bytes have ended.
    ///
    /// A filter throws if bytes of the peer may be missing. The default implementation does nothing.
    func receivedEOF() throws

    /// Whether the consumer may read and write. Until then the filter only decodes, and the consumer does not know of
    /// the connection. The default is true.
    var isEstablished: Bool { get }

    /// How long it may take until ``isEstablished`` is true. `nil`, the default, is 60 seconds for the connections of a
    /// server, and without limit for others.
    var establishmentTimeout: Duration? { get }

    /// How long what ``finish(into:)`` has appended may take to be sent when the connection is closed. The default is 5
    /// seconds.
    var finishTimeout: Duration { get }
}

extension StreamFilter {
    public func finish(into output: inout OutputRawSpan) {}
    public func receivedEOF() {}
    public var isEstablished: Bool { true }
    public var establishmentTimeout: Duration? { nil }
    public var finishTimeout: Duration { .seconds(5) }
}

/// What a call of a ``StreamFilter`` did.
public struct StreamFilterResult: Sendable, Hashable {
    /// The number of bytes of the input that the filter has taken.
    public var consumedBytes: Int
    /// Whether an output had no room for all that the filter has to say. It is called again with more room.
    public var needsRoom: Bool
    /// Whether the peer's bytes have ended. The consumer reads EOF.
    public var hasEnded: Bool

    public init(consumedBytes: Int, needsRoom: Bool = false, hasEnded: Bool = false) {
        self.consumedBytes = consumedBytes
        self.needsRoom = needsRoom
        self.hasEnded = hasEnded
    }
}

extension StreamFilterResult: CustomStringConvertible {
    /// Such as `consumed 5 bytes, needs room`.
    public var description: String {
        "consumed \(consumedBytes) bytes\(needsRoom ? ", needs room" : "")\(hasEnded ? ", has ended" : "")"
    }
}
