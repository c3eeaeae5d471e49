/// How many bytes all connections of a loop together move in one iteration, and which of them wait for the next one.
///
/// Without it, an iteration lasts the longer the more connections have something to move, and timers, signals and new
/// connections wait for all of them. A connection that finds nothing left is deferred: it runs before all others in one of
/// the next iterations, first come, first served. Connections that moved much when they ran last (bulk) have a queue of
/// their own, which comes last in an iteration and leaves half of the budget to the others; each iteration serves at least one
/// of it. So a peer that sends little does not wait behind those that flood.
struct ByteBudget: ~Copyable {
    /// Received and sent bytes together: well below a millisecond of the kernel's work.
    static let bytesPerIteration = 2 << 20
    /// What bulk connections leave to the others. Two of them, which echo 256 KiB each, run in one iteration: beside a hundred
    /// peers that ping without a pause, one would get less than in a plain server that moves 64 KiB of each connection.
    static let bytesReservedFromBulk = bytesPerIteration / 2
    /// What a system call costs beside its bytes, counted as bytes.
    static let bytesPerCall = 1024
    /// What accepting a connection costs, counted as bytes.
    static let bytesPerAccept = 32 * 1024
    /// By how much sends may exceed the budget, so that the answer to what was just received need not be stored.
    static let mostOverdrawnBytes = 512 * 1024
    /// What a deferred connection is charged in advance if its task is queued and has not run yet.
    static let bytesPerGrant = 64 * 1024
    /// So many bytes moved in one run make a connection bulk: 64 KiB that are echoed.
    static let bulkBytes = 128 * 1024

    private(set) var bytesLeft = bytesPerIteration
    private var waiting = ReadyQueue(capacity: 16)
    private var waitingBulk = ReadyQueue(capacity: 16)
    /// How many bulk connections, at the front of their queue, an earlier iteration has left there.
    private var deferredBulkCount = 0

    /// Whether connections wait for the next iteration, which must not sleep then.
    var hasDeferred: Bool { !waiting.isEmpty || !waitingBulk.isEmpty }

    /// Whether a receive may begin.
    @inline(__always)
    var allowsReceive: Bool { bytesLeft > 0 }

    /// Whether a send may begin.
    @inline(__always)
    var allowsSend: Bool { bytesLeft > -Self.mostOverdrawnBytes }

    /// One call that moved `count` bytes.
    @inline(__always)
    mutating func use(_ count: Int) {
        bytesLeft &-= count &+ Self.bytesPerCall
    }

    mutating func useForAccept() {
        bytesLeft -= Self.bytesPerAccept
    }

    /// One iteration is over.
    @inline(__always)
    mutating func renew() {
        bytesLeft = Self.bytesPerIteration
    }

    /// Queues a connection that is not bulk for one of the next iterations.
    @inline(never)
    mutating func postpone(_ word: LoopWord) {
        waiting.push(word)
    }

    /// Queues a bulk connection for the end of this iteration or one of the next.
    mutating func queueBulk(_ word: LoopWord) {
        waitingBulk.push(word)
    }

    var hasWaiting: Bool { !waiting.isEmpty }

    var waitingCount: Int { waiting.count }

    var bulkCount: Int { waitingBulk.count }

    /// The next one that is not bulk, if there is budget left.
    mutating func popWaiting() -> LoopWord? {
        waiting.isEmpty || bytesLeft <= 0 ? nil : waiting.pop()
    }

    /// Returns the next bulk connection, and whether an earlier iteration has left it. The first one of an iteration needs no
    /// budget, so that each iteration serves one.
    mutating func popBulk(isFirst: Bool) -> (word: LoopWord, wasDeferred: Bool)? {
        if waitingBulk.isEmpty || !isFirst && bytesLeft <= Self.bytesReservedFromBulk { return nil }
        let wasDeferred = deferredBulkCount > 0
        if wasDeferred { deferredBulkCount -= 1 }
        return (waitingBulk.pop(), wasDeferred)
    }

    /// This iteration runs no more bulk connections. Not part of ``renew()``, which costs each iteration something.
    mutating func leaveBulk() {
        deferredBulkCount = waitingBulk.count
    }

    /// Moves all sources that wait to the ready queue, because the loop closes.
    mutating func queueAll(in ready: inout ReadyQueue) {
        while !waiting.isEmpty { ready.push(waiting.pop()) }
        while !waitingBulk.isEmpty { ready.push(waitingBulk.pop()) }
    }
}
