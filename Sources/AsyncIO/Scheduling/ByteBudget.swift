/// Limits how many bytes all connections of a loop together move in one iteration. Without it, the more connections
/// have bytes to move, the longer timers, signals and new connections would wait.
///
/// A connection that finds no budget left is deferred: it runs before all others in one of the next iterations, first
/// come, first served. Connections that moved many bytes when they last ran are bulk connections and have a queue of
/// their own. It runs at the end of an iteration and leaves half of the budget to the others; each iteration serves at
/// least one of it. So a peer that sends little does not wait behind peers that flood.
struct ByteBudget: ~Copyable {
    /// Received and sent bytes. The kernel needs well below a millisecond for so many.
    static let bytesPerIteration = 2 << 20
    /// The bytes that bulk connections leave to the others. Two that echo 256 KiB each run in one iteration. If only
    /// one could, it would be slower beside a hundred peers that ping than in a plain server that moves 64 KiB each.
    static let bytesReservedFromBulk = bytesPerIteration / 2
    /// The cost of a system call besides its bytes, counted as bytes.
    static let bytesPerCall = 1024
    static let bytesPerAccept = 32 * 1024
    /// By how much sends may exceed the budget, so that the answer to bytes that were just received need not be stored.
    static let mostOverdrawnBytes = 512 * 1024
    /// The bytes that a deferred connection is charged in advance if its task is queued and has not run yet.
    static let bytesPerGrant = 64 * 1024
    /// A connection that moves so many bytes in one run is bulk. Echoing 64 KiB moves as many.
    static let bulkBytes = 128 * 1024

    private(set) var bytesLeft = bytesPerIteration
    private var waiting = ReadyQueue(capacity: 16)
    private var waitingBulk = ReadyQueue(capacity: 16)
    /// The number of bulk connections, at the front of their queue, that an earlier iteration has not served.
    private var deferredBulkCount = 0

    /// If so, the next iteration must not sleep.
    var hasDeferred: Bool { !waiting.isEmpty || !waitingBulk.isEmpty }

    @inline(__always) var allowsReceive: Bool { bytesLeft > 0 }

    @inline(__always) var allowsSend: Bool { bytesLeft > -Self.mostOverdrawnBytes }

    @inline(__always) mutating func use(_ count: Int) { bytesLeft &-= count &+ Self.bytesPerCall }

    mutating func useForAccept() { bytesLeft -= Self.bytesPerAccept }

    @inline(__always) mutating func renew() { bytesLeft = Self.bytesPerIteration }

    @inline(never) mutating func postpone(_ word: LoopWord) { waiting.push(word) }

    mutating func queueBulk(_ word: LoopWord) { waitingBulk.push(word) }
    var waitingCount: Int { waiting.count }
    var bulkCount: Int { waitingBulk.count }

    /// `nil` if there is none or no budget is left.
    mutating func popWaiting() -> LoopWord? {
        waiting.isEmpty || bytesLeft <= 0 ? nil : waiting.pop()
    }

    /// Returns whether an earlier iteration has deferred it, too. The first of an iteration needs no budget.
    mutating func popBulk(isFirst: Bool) -> (word: LoopWord, wasDeferred: Bool)? {
        if waitingBulk.isEmpty || !isFirst && bytesLeft <= Self.bytesReservedFromBulk { return nil }
        let wasDeferred = deferredBulkCount > 0
        if wasDeferred { deferredBulkCount -= 1 }
        return (waitingBulk.pop(), wasDeferred)
    }

    /// Notes that this iteration runs no more bulk connections. Not a part of ``renew()``, which runs in every one.
    mutating func leaveBulk() { deferredBulkCount = waitingBulk.count }

    /// For the close.
    mutating func queueAll(in ready: inout ReadyQueue) {
        while !waiting.isEmpty { ready.push(waiting.pop()) }
        while !waitingBulk.isEmpty { ready.push(waitingBulk.pop()) }
    }
}
