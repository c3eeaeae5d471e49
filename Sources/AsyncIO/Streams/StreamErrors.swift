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
