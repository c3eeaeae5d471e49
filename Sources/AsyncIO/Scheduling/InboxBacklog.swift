/// Submissions of other threads that the loop has taken from its inbox and not yet queued, first in, first out. The loop's
/// thread only.
///
/// The inbox is emptied in one step, so that no producer waits for the loop. One iteration queues a bounded portion of what
/// was taken, so that timers, signals and connections run between the portions.
struct InboxBacklog: ~Copyable {
    /// A larger buffer, which a burst has left behind, is freed.
    private static let mostRetainedWords = 1 << 16

    private var words: [UInt] = []
    private var next = 0

    var isEmpty: Bool {
        @inline(__always)
        get { next == words.count }
    }

    /// Moves at most `limit` submissions to `ready`, and takes more from `inbox` when there are none left here.
    ///
    /// - Returns: How many there were; less than `limit` only if nothing is left.
    mutating func move(atMost limit: Int, from inbox: ThreadsafeInbox, to ready: inout ReadyQueue) -> Int {
        var moved = 0
        while moved < limit {
            if isEmpty {
                refill(from: inbox)
                if isEmpty { break }
            }
            let end = next + min(words.count - next, limit - moved)
            for index in next..<end { ready.push(LoopWord(bits: words[index])) }
            moved += end - next
            next = end
        }
        return moved
    }

    private mutating func refill(from inbox: ThreadsafeInbox) {
        if words.capacity > Self.mostRetainedWords { words = [] }
        next = 0
        if inbox.hasPosts { inbox.take(into: &words) } else { words.removeAll(keepingCapacity: true) }
    }
}
