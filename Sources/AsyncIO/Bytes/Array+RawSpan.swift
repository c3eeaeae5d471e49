extension Array where Element == UInt8 {
    /// Creates an array with a copy of `bytes`, for example in `dataReceived`.
    ///
    /// ```swift
    /// func dataReceived(_ data: RawSpan) { received.append(Array(data)) }
    /// ```
    public init(_ bytes: RawSpan) { self = bytes.withUnsafeBytes { [UInt8]($0) } }
}
