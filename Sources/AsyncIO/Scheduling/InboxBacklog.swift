/// Submissions of other threads that the loop has taken from its inbox, in one step so that no producer waits for it,
/// but not queued yet, so that timers, signals and connections run in between.
/// - Thread: the loop's.
struct InboxBacklog: ~Copyable {
    /// A larger buffer, which a burst of submissions has left, is freed.
    private static let mostRetainedWords = 1 << 16

    private var words: [UInt] = []
    private var next = 0

    @inline(__always) var isEmpty: Bool { next == words.count }

    /// Moves at most `limit` submissions to `ready`. Returns their number; less than `limit` only if none is left.
    @inline(never)
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
