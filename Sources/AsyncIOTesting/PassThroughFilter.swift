public import AsyncIO

/// A filter that changes nothing. A connection with it behaves as one without.
public final class PassThroughFilter: StreamFilter {
    public init() {}

    public func decode(
        _ input: RawSpan, into output: inout OutputRawSpan, replies: inout OutputRawSpan
    ) -> StreamFilterResult { output.append(asMuchAsFitsOf: input) }

    public func encode(_ input: RawSpan, into output: inout OutputRawSpan) -> StreamFilterResult {
        output.append(asMuchAsFitsOf: input)
    }
}

extension OutputRawSpan {
    /// Appends the bytes of `input` for which there is room.
    mutating func append(asMuchAsFitsOf input: RawSpan) -> StreamFilterResult {
        let count = min(input.byteCount, freeCapacity)
        withUnsafeMutableBytes { bytes, initializedCount in
            input.withUnsafeBytes { source in
                UnsafeMutableRawBufferPointer(rebasing: bytes[initializedCount...])
                    .copyMemory(from: UnsafeRawBufferPointer(rebasing: source[..<count]))
            }
            initializedCount += count
        }
        return StreamFilterResult(consumedBytes: count, needsRoom: count < input.byteCount)
    }
}

extension PassThroughFilter: CustomStringConvertible {
    public var description: String { "<PassThroughFilter>" }
}
