/// The agreement between a loop that falls asleep and the threads that post to it: two flags, and what
/// follows from those that a step found.
///
/// Pure, so that a test can walk through every interleaving with these decisions. `ThreadsafeInbox` carries the steps out
/// with sequentially consistent read-modify-write operations.
package struct InboxState: OptionSet, Hashable, Sendable {
    package var rawValue: UInt8

    package init(rawValue: UInt8) {
        self.rawValue = rawValue
    }

    /// Something was posted and not yet taken.
    package static let pending = InboxState(rawValue: 1)
    /// The loop waits, or is about to.
    package static let asleep = InboxState(rawValue: 2)

    /// What a post sets, after the entry is in the queue.
    package static let posted: InboxState = .pending

    /// Whether the post that found `self` must wake the loop: it sleeps, and nobody who came earlier has woken it.
    package var mustBeWokenByPost: Bool {
        contains(.asleep) && !contains(.pending)
    }

    /// Whether the loop that found `self` when it set `asleep` may wait.
    package var maySleep: Bool {
        !contains(.pending)
    }
}
