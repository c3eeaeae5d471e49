import Selectors

/// The known readiness of a descriptor, the interest that a selector has to watch, and the share of an iteration. A
/// pure state machine: its functions are events and questions, and return what the caller has to do.
///
/// An edge-triggered selector reports readiness once, so it must be remembered until a call would block. A
/// level-triggered selector would repeatedly report readiness that is not needed: unread bytes without a reader, or
/// free space without a writer. Therefore an event that brings nothing new narrows the interest, and a call that would
/// block widens it. Neither happens while one message follows another. In both cases, a direction that is not watched
/// counts as ready.
///
/// A receive that does not fill its buffer has emptied the descriptor, which saves the call that would find that out.
/// This does not hold after a hang-up was reported, because the EOF after the bytes has no event of its own, nor after
/// urgent data was reported, because a receive stops before it.
struct ReadinessState {
    private(set) var isReadable = true
    private(set) var isWritable = true
    /// Whether a short receive may leave bytes behind, or EOF, that no further event reports.
    private var mustReadOn = false
    private(set) var interest: Interest = []
    private(set) var trigger = Trigger.level
    var readingShare = IterationShare()
    var writingShare = IterationShare()

    /// The selector watches `interest`, and reports existing readiness with an event.
    @inline(__always) mutating func watched(for interest: Interest) { self.interest = interest }

    /// Nothing is known to be readable.
    mutating func registered(for interest: Interest, _ trigger: Trigger) {
        self.interest = interest
        self.trigger = trigger
        isReadable = false
    }

    @inline(__always) mutating func reported(_ readiness: Readiness) {
        if !readiness.isDisjoint(with: [.hangup, .urgent]) { mustReadOn = true }
    }

    /// Returns the former value.
    @inline(__always) mutating func becameReadable() -> Bool {
        defer { isReadable = true }
        return isReadable
    }

    /// Returns the former value.
    @inline(__always) mutating func becameWritable() -> Bool {
        defer { isWritable = true }
        return isWritable
    }

    /// A receive with room for `room` bytes returned `count`. Returns whether it has emptied the descriptor.
    @inline(__always) mutating func received(_ count: Int, room: Int) -> Bool {
        if count > 0 && count < room && !mustReadOn { isReadable = false }
        return !isReadable
    }

    @inline(__always) mutating func receiveWouldBlock() { isReadable = false }

    mutating func receivedEOF() { isReadable = false }

    /// A send would block, or sent only a part of its bytes.
    @inline(__always) mutating func sendWouldBlock() { isWritable = false }
}
