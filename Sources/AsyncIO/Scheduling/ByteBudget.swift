/// Limits how many bytes all connections of a loop together move in one iteration, and queues the connections that wait
/// for the next one.
///
/// Without it, each iteration would last longer the more connections have bytes to move, and timers, signals and new
/// connections would wait for all of them. A connection that finds no budget left is deferred: it runs before all
/// others in one of the next iterations, first come, first served. Connections that moved many bytes when they last ran
/// are bulk connections and have a queue of their own. It runs at the end of an iteration and leaves half of the budget
/// to the others; each iteration serves at least one connection of it. So a peer that sends little does not wait behind
/// peers that flood.
struct ByteBudget: ~Copyable {
    /// Counts received and sent bytes. The kernel needs well below a millisecond for so many.
    static let bytesPerIteration = 2 << 20
    /// The bytes that bulk connections leave to the others. Two bulk connections that echo 256 KiB each run in one
    /// iteration. With only one of them, a bulk connection beside a hundred peers that ping without a pause would be
    /// slower than in a plain server that moves 64 KiB per connection.
    static let bytesReservedFromBulk = bytesPerIteration / 2
    /// The cost of a system call besides its bytes, counted as bytes.
    static let bytesPerCall = 1024
    /// The cost of accepting a connection, counted as bytes.
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

    /// Whether connections wait for the next iteration. If so, it must not sleep.
    var hasDeferred: Bool { !waiting.isEmpty || !waitingBulk.isEmpty }

    /// Whether a receive may begin.
    @inline(__always)
    var allowsReceive: Bool { bytesLeft > 0 }

    /// Whether a send may begin.
    @inline(__always)
    var allowsSend: Bool { bytesLeft > -Self.mostOverdrawnBytes }

    /// Charges one call that moved `count` bytes.
    @inline(__always)
    mutating func use(_ count: Int) { bytesLeft &-= count &+ Self.bytesPerCall }

    /// Charges the accepting of one connection.
    mutating func useForAccept() { bytesLeft -= Self.bytesPerAccept }

    /// Begins the next iteration with a full budget.
    @inline(__always)
    mutating func renew() { bytesLeft = Self.bytesPerIteration }

    /// Queues a connection that is not bulk for one of the next iterations.
    @inline(never)
    mutating func postpone(_ word: LoopWord) { waiting.push(word) }

    /// Queues a bulk connection for the last part of this iteration or of one of the next.
    mutating func queueBulk(_ word: LoopWord) { waitingBulk.push(word) }
    var waitingCount: Int { waiting.count }
    var bulkCount: Int { waitingBulk.count }

    /// Returns the next connection that is not bulk; `nil` if there is none or no budget is left.
    mutating func popWaiting() -> LoopWord? {
        waiting.isEmpty || bytesLeft <= 0 ? nil : waiting.pop()
    }

    /// Returns the next bulk connection, and whether an earlier iteration has deferred it. The first one of an
    /// iteration needs no budget, so that each iteration serves one.
    mutating func popBulk(isFirst: Bool) -> (word: LoopWord, wasDeferred: Bool)? {
        if waitingBulk.isEmpty || !isFirst && bytesLeft <= Self.bytesReservedFromBulk { return nil }
        let wasDeferred = deferredBulkCount > 0
        if wasDeferred { deferredBulkCount -= 1 }
        return (waitingBulk.pop(), wasDeferred)
    }

    /// Notes that this iteration runs no more bulk connections. Not a part of ``renew()``, which runs in every
    /// iteration.
    mutating func leaveBulk() { deferredBulkCount = waitingBulk.count }

    /// Moves all sources that wait to the ready queue, because the loop closes.
    mutating func queueAll(in ready: inout ReadyQueue) {
        while !waiting.isEmpty { ready.push(waiting.pop()) }
        while !waitingBulk.isEmpty { ready.push(waitingBulk.pop()) }
    }
}
