/// The stream ended in the middle of what was to be read. asyncio: `IncompleteReadError`.
public struct IncompleteReadError: Error, Sendable, CustomStringConvertible {
    /// What came.
    public var partial: [UInt8]
    /// `nil` where a separator was expected.
    public var expectedBytes: Int?

    public var description: String {
        guard let expectedBytes else { return "the stream ended after \(partial.count) bytes without a separator" }
        return "the stream ended after \(partial.count) of \(expectedBytes) expected bytes"
    }
}

/// More bytes came in front of a separator than the limit allows. They are still there. asyncio: `LimitOverrunError`.
public struct LimitOverrunError: Error, Sendable, CustomStringConvertible {
    /// How many bytes can be read, by `readExactly`, before the separator is reached, or may be. asyncio: `consumed`.
    public var consumedBytes: Int
    public var limitBytes: Int

    public var description: String {
        "no separator within the limit of \(limitBytes) bytes; the first \(consumedBytes) bytes contain none"
    }
}
