/// Limits how many bytes one connection may move in one iteration while its task need not wait: 256 KiB, or 16 small
/// calls. Otherwise a peer that keeps up with the task would make everything else wait.
struct IterationShare {
    static let bytesPerIteration = 256 * 1024
    /// The cost of a call besides its bytes, counted as bytes.
    private static let bytesPerCall = 16 * 1024

    // Four bytes each, because every connection has two shares. It is harmless that the number of an iteration repeats.
    private var tick: UInt32 = 0
    private var used: Int32 = 0

    /// Whether the connection may move more bytes in the iteration `current`.
    @inline(__always) mutating func isLeft(in current: UInt64) -> Bool {
        let current = UInt32(truncatingIfNeeded: current)
        if tick != current {
            tick = current
            used = 0
        }
        return Int(used) < Self.bytesPerIteration
    }

    @inline(__always) mutating func use(_ count: Int) {
        used &+= Int32(truncatingIfNeeded: max(min(count, Self.bytesPerIteration), Self.bytesPerCall))
    }

    /// It may be the first one in its iteration.
    mutating func use(_ count: Int, in current: UInt64) {
        _ = isLeft(in: current)
        use(count)
    }
}
