/// Transforms the bytes of a connection between the descriptor and the transport: TLS, compression, a proxy's header.
///
/// A filter sees no descriptor, and its functions never wait. Each function takes as much of its input as it can,
/// appends to its output what fits, and returns what it did; it is called again with the rest of the input. A filter
/// may retain input of its own, such as an incomplete record; a function is then called with an empty input.
///
/// An error that a function throws ends the connection, after what is in the outputs, such as an alert, was sent.
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
/// - Thread: the loop's. A filter belongs to one connection.
public protocol StreamFilter: AnyObject {
    /// Decodes received bytes. First called with an empty input, before anything is received, for a filter's greeting.
    ///
    /// - Parameters:
    ///   - input: The received bytes that have not been consumed; empty if the filter asked for room before.
    ///   - output: Takes the bytes for the consumer of the connection.
    ///   - replies: Takes bytes for the peer, which are sent before anything that the consumer writes from now on.
    func decode(
        _ input: RawSpan, into output: inout OutputRawSpan, replies: inout OutputRawSpan
    ) throws -> StreamFilterResult

    /// Encodes bytes that the consumer of the connection writes. It is not called before ``isEstablished`` is true.
    func encode(_ input: RawSpan, into output: inout OutputRawSpan) throws -> StreamFilterResult

    /// Ends the encoded bytes, once, before EOF is sent or the filter is removed. The default appends nothing.
    func finish(into output: inout OutputRawSpan) throws

    /// The peer has sent EOF, although no result of the filter has said that its bytes have ended. A filter throws if
    /// bytes may be missing. The default does nothing.
    func receivedEOF() throws

    /// Whether the consumer may read and write; until then the filter only decodes. The default is true.
    var isEstablished: Bool { get }

    /// The limit until ``isEstablished``. `nil`, the default, is 60 seconds for connections of a server, else no limit.
    var establishmentTimeout: Duration? { get }

    /// The limit for sending what ``finish(into:)`` has appended when the connection is closed; 5 seconds by default.
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
public struct StreamFilterResult: Sendable, Hashable, CustomStringConvertible {
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

    /// Such as `consumed 5 bytes, needs room`.
    public var description: String {
        "consumed \(consumedBytes) bytes\(needsRoom ? ", needs room" : "")\(hasEnded ? ", has ended" : "")"
    }
}
