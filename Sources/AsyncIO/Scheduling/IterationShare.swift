/// How much one connection may move in one tick while its task never has to wait: 256 KiB, or 16 small calls.
///
/// Without it, a peer that is as fast as the task keeps the loop's thread for itself: timers, signals and other
/// connections would wait for as long as it likes.
struct IterationShare {
    static let bytesPerIteration = 256 * 1024
    /// What a call costs beside its bytes, counted as bytes.
    private static let bytesPerCall = 16 * 1024

    // In four bytes each, since every connection has two shares. That the number of a tick repeats is harmless.
    private var tick: UInt32 = 0
    private var used: Int32 = 0

    /// Whether something is left of it.
    @inline(__always)
    mutating func isLeft(in current: UInt64) -> Bool {
        let current = UInt32(truncatingIfNeeded: current)
        if tick != current {
            tick = current
            used = 0
        }
        return Int(used) < Self.bytesPerIteration
    }

    /// One call that moves `count` bytes.
    @inline(__always)
    mutating func use(_ count: Int) {
        used &+= Int32(truncatingIfNeeded: max(min(count, Self.bytesPerIteration), Self.bytesPerCall))
    }
}
