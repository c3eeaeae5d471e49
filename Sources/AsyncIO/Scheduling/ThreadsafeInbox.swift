import AsyncIOSystem
import CAsyncIO
import Synchronization

/// What other threads send to a loop, first in, first out; `Sendable`.
///
/// Memory ordering: entries are published by the lock. The flags use sequentially consistent read-modify-write
/// operations, because a poster writes the queue and then reads `asleep` while the loop writes `asleep` and then reads
/// `pending`; with anything weaker both could miss the other.
final class ThreadsafeInbox: Sendable {
    private struct Queue {
        var words: [UInt] = []
        var waker: Waker?
        var isClosed = false
    }

    private let queue: Locked<Queue>
    private let flags = Atomic<UInt8>(0)

    init(waker: Waker) {
        queue = Locked(Queue(waker: waker))
    }

    /// What signal handlers wake the loop by, too. `nil` when the inbox is closed.
    var waker: Waker? { queue.withLock { $0.waker } }

    /// Adds `word` and wakes the loop if it sleeps. Any thread.
    ///
    /// - Returns: false when the inbox is closed; the word is then still the caller's.
    func post(_ word: LoopWord) -> Bool {
        let (accepted, waker): (Bool, Waker?) = queue.withLock { queue in
            if queue.isClosed { return (false, nil) }
            queue.words.append(word.bits)
            let found = InboxState(
                rawValue: flags.bitwiseOr(
                    InboxState.posted.rawValue, ordering: .sequentiallyConsistent
                ).oldValue)
            return (true, found.mustBeWokenByPost ? queue.waker : nil)
        }
        // Outside the lock, by a reference of our own: the loop may be closed meanwhile.
        waker?.wake()
        return accepted
    }

    /// Whether there is something to take. The loop's thread.
    @inline(__always)
    var hasPosts: Bool {
        InboxState(rawValue: flags.load(ordering: .relaxed)).contains(.pending)
    }

    /// Takes all entries, leaving the emptied `spare` in their place. The loop's thread.
    func take(into spare: inout [UInt]) {
        spare.removeAll(keepingCapacity: true)
        queue.withLock { queue in
            swap(&queue.words, &spare)
            flags.bitwiseAnd(~InboxState.pending.rawValue, ordering: .sequentiallyConsistent)
        }
    }

    /// Announces a wait. False if something was posted: then the loop must not wait. The loop's thread.
    func prepareToSleep() -> Bool {
        let found = InboxState(
            rawValue: flags.bitwiseOr(InboxState.asleep.rawValue, ordering: .sequentiallyConsistent).oldValue)
        return found.maySleep
    }

    /// The wait is over. The loop's thread.
    func wokeUp() {
        flags.bitwiseAnd(~InboxState.asleep.rawValue, ordering: .sequentiallyConsistent)
    }

    /// Refuses what comes from now on, if nothing is there to take. Whether it is closed.
    func closeIfEmpty() -> Bool {
        let (isEmpty, waker): (Bool, Waker?) = queue.withLock { queue in
            guard queue.words.isEmpty else { return (false, nil) }
            queue.isClosed = true
            return (true, queue.waker.take())
        }
        // Released outside the lock, as in `close()`.
        _ = waker
        return isEmpty
    }

    /// Refuses what comes from now on. What was posted before can still be taken.
    func close() {
        // The waker is released outside the lock: its last reference closes a descriptor.
        let waker = queue.withLock { queue in
            queue.isClosed = true
            return queue.waker.take()
        }
        _ = waker
    }
}
