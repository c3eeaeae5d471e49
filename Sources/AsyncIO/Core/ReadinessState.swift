import Selectors

/// The known readiness of a descriptor, the interest that a selector has to watch, and the number of bytes that may
/// still be moved in an iteration.
///
/// It is a pure state machine: its functions are events and questions, and return what the caller has to do. Streams,
/// datagrams and pipes use it.
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
    /// Whether a receive may return bytes.
    private(set) var isReadable = true
    /// Whether a send may be accepted.
    private(set) var isWritable = true
    /// Whether a short receive may leave bytes behind, or EOF, that no further event reports.
    private var mustReadOn = false
    /// The interest that the selector watches.
    private(set) var interest: Interest = []
    /// How the selector reports it.
    private(set) var trigger = Trigger.level
    /// What the driver may still receive and send in this iteration.
    var readingShare = IterationShare()
    var writingShare = IterationShare()

    // MARK: Watching

    /// The selector watches `interest`, and reports existing readiness with an event.
    @inline(__always)
    mutating func watched(for interest: Interest) { self.interest = interest }

    /// The descriptor has just been registered. Nothing is known to be readable.
    mutating func registered(for interest: Interest, _ trigger: Trigger) {
        self.interest = interest
        self.trigger = trigger
        isReadable = false
    }

    // MARK: Events

    /// An event was reported.
    @inline(__always)
    mutating func reported(_ readiness: Readiness) {
        if !readiness.isDisjoint(with: [.hangup, .urgent]) { mustReadOn = true }
    }

    /// Returns whether the descriptor was known to be readable.
    @inline(__always)
    mutating func becameReadable() -> Bool {
        defer { isReadable = true }
        return isReadable
    }

    /// Returns whether the descriptor was known to be writable.
    @inline(__always)
    mutating func becameWritable() -> Bool {
        defer { isWritable = true }
        return isWritable
    }

    // MARK: Results of calls

    /// A receive with room for `room` bytes returned `count`. Returns whether it has emptied the descriptor.
    @inline(__always)
    mutating func received(_ count: Int, room: Int) -> Bool {
        if count > 0 && count < room && !mustReadOn { isReadable = false }
        return !isReadable
    }

    @inline(__always)
    mutating func receiveWouldBlock() { isReadable = false }

    /// Push style: EOF was received, and nothing follows it.
    mutating func receivedEOF() { isReadable = false }

    /// A send would block, or sent only a part of its bytes.
    @inline(__always)
    mutating func sendWouldBlock() { isWritable = false }
}
