/// An error of a read that reached EOF before it was complete. asyncio: `IncompleteReadError`.
public struct IncompleteReadError: Error, Sendable, CustomStringConvertible {
    /// The bytes that arrived before EOF.
    public var partial: [UInt8]
    /// The number of bytes that were expected; `nil` if a separator was expected.
    public var expectedBytes: Int?

    public var description: String {
        guard let expectedBytes else { return "the stream ended after \(partial.count) bytes without a separator" }
        return "the stream ended after \(partial.count) of \(expectedBytes) expected bytes"
    }
}

/// An error of a read that found no separator within the limit. The bytes can still be read. asyncio:
/// `LimitOverrunError`.
public struct LimitOverrunError: Error, Sendable, CustomStringConvertible {
    /// The number of bytes before the separator, or before the place where it may begin. They can be read with
    /// `readExactly`. asyncio: `consumed`.
    public var consumedBytes: Int
    /// The limit of the reader, in bytes.
    public var limitBytes: Int

    public var description: String {
        "no separator within the limit of \(limitBytes) bytes; the first \(consumedBytes) bytes contain none"
    }
}
