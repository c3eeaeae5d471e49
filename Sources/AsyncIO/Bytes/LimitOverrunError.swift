/// More bytes came than a limit allows. asyncio: `LimitOverrunError`, and the `ValueError` of `readline`.
public struct LimitOverrunError: Error, Sendable, Hashable, CustomStringConvertible {
    private let subject: String
    /// The limit.
    public var limitBytes: Int
    /// How many bytes can be read, by `readExactly`, before the separator of `readUntil` is reached, or may be; 0 for
    /// the other functions. asyncio: `consumed`.
    // The last property for the reason that `EventLoopError.code` gives.
    public var consumedBytes: Int

    init(_ subject: String, limitBytes: Int, consumedBytes: Int = 0) {
        self.subject = subject
        self.limitBytes = limitBytes
        self.consumedBytes = consumedBytes
    }

    /// One sentence, such as `a line is longer than the limit of 65536 bytes`.
    public var description: String {
        let limit = "\(subject) the limit of \(limitBytes) bytes"
        return consumedBytes > 0 ? "\(limit); the first \(consumedBytes) bytes contain none" : limit
    }
}
