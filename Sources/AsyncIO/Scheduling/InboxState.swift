/// The protocol between a loop that falls asleep and the threads that post to it: two flags, and the decisions that
/// follow from them.
///
/// A pure value, so that a test can try every interleaving with these decisions. `ThreadsafeInbox` performs the steps
/// with sequentially consistent read-modify-write operations.
package struct InboxState: OptionSet, Hashable, Sendable {
    package var rawValue: UInt8

    package init(rawValue: UInt8) {
        self.rawValue = rawValue
    }

    /// There are posts that the loop has not taken yet. A post sets it when its entry is in the queue.
    package static let pending = InboxState(rawValue: 1)
    /// The loop waits, or is about to wait.
    package static let asleep = InboxState(rawValue: 2)

    /// Whether the post that found these flags must wake the loop: it sleeps, and no earlier post has woken it.
    package var mustBeWokenByPost: Bool {
        contains(.asleep) && !contains(.pending)
    }

    /// Whether the loop, which found these flags when it set `asleep`, may wait.
    package var maySleep: Bool {
        !contains(.pending)
    }
}
