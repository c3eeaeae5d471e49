import AsyncIOSystem
import CAsyncIO
import Synchronization

/// The words that other threads post to a loop, first in, first out.
///
/// The lock publishes the entries. The flags use sequentially consistent read-modify-write operations, because a
/// producer writes the queue and then reads `asleep` while the loop writes `asleep` and then reads `pending`. With a
/// weaker order both could miss the other's write.
/// - Thread: the loop's, unless a member says otherwise.
final class ThreadsafeInbox: Sendable {
    private struct Queue {
        var words: [UInt] = []
        var waker: Waker?
        var isClosed = false
    }

    private let queue: Locked<Queue>
    private let flags = Atomic<UInt8>(0)

    init(waker: Waker) { queue = Locked(Queue(waker: waker)) }

    /// Signal handlers use it too. `nil` when the inbox is closed.
    var waker: Waker? { queue.withLock { $0.waker } }

    /// Adds `word` and wakes the loop if it sleeps, on any thread. If closed, returns false: the caller still owns it.
    func post(_ word: LoopWord) -> Bool {
        let (accepted, waker): (Bool, Waker?) = queue.withLock { queue in
            if queue.isClosed { return (false, nil) }
            queue.words.append(word.bits)
            return (true, set(.pending).mustBeWokenByPost ? queue.waker : nil)
        }
        // Outside the lock, with a reference of its own, because the loop may be closed meanwhile.
        waker?.wake()
        return accepted
    }

    @inline(__always)
    var hasPosts: Bool { InboxState(rawValue: flags.load(ordering: .relaxed)).contains(.pending) }

    /// Moves all entries to `spare`, whose emptied memory becomes the queue's.
    func take(into spare: inout [UInt]) {
        spare.removeAll(keepingCapacity: true)
        queue.withLock { queue in
            swap(&queue.words, &spare)
            clear(.pending)
        }
    }

    /// Announces a wait. Returns false if there are posts; then the loop must not wait.
    func prepareToSleep() -> Bool { set(.asleep).maySleep }

    func wokeUp() { clear(.asleep) }

    /// Returns the flags as they were before.
    private func set(_ flag: InboxState) -> InboxState {
        InboxState(rawValue: flags.bitwiseOr(flag.rawValue, ordering: .sequentiallyConsistent).oldValue)
    }

    private func clear(_ flag: InboxState) {
        flags.bitwiseAnd(~flag.rawValue, ordering: .sequentiallyConsistent)
    }

    /// Refuses further posts, unless `ifEmpty` and there are posts to take. Returns whether the inbox is closed.
    @discardableResult func close(ifEmpty: Bool = false) -> Bool {
        let (isClosed, waker): (Bool, Waker?) = queue.withLock { queue in
            if ifEmpty, !queue.words.isEmpty { return (false, nil) }
            queue.isClosed = true
            return (true, queue.waker.take())
        }
        // Released outside the lock, because its last reference closes a descriptor.
        withExtendedLifetime(waker) {}
        return isClosed
    }
}

/// The protocol between a loop that falls asleep and the threads that post to it: two flags, and the decisions that
/// follow from them. A pure value, so that a test can try every interleaving.
package struct InboxState: OptionSet, Hashable, Sendable {
    package var rawValue: UInt8

    package init(rawValue: UInt8) { self.rawValue = rawValue }

    /// There are posts that the loop has not taken yet. A post sets it when its entry is in the queue.
    package static let pending = InboxState(rawValue: 1)
    /// The loop waits, or is about to wait.
    package static let asleep = InboxState(rawValue: 2)

    /// Whether the post that found these flags must wake the loop: it sleeps, and no earlier post has woken it.
    package var mustBeWokenByPost: Bool { contains(.asleep) && !contains(.pending) }

    /// Whether the loop, which found these flags when it set `asleep`, may wait.
    package var maySleep: Bool { !contains(.pending) }
}
