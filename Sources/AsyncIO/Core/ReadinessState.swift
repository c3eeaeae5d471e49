import Selectors

/// What is known of a descriptor's readiness, what a selector has to watch for, and how much may still be moved in an
/// iteration.
///
/// Pure: its functions are events and questions, and return what the caller has to do. Streams, datagrams and pipes use
/// it.
///
/// A selector that reports edges reports readiness once, so it must be remembered until a call would block. A selector
/// that reports levels would report again and again what nobody wants to know now: bytes that nobody reads, room that
/// nobody fills. So the interest is narrowed by an event that brings nothing new, and widened when a call would block.
/// Neither happens while one message follows the other. In both cases this holds: what is not watched is ready, as far
/// as is known here.
///
/// A receive that fills less than the buffer has emptied the descriptor, which saves the call that would find that out.
/// Not so after a hang-up was reported, since the EOF that follows the bytes has no event of its own any more, nor
/// after urgent data was reported, since a receive stops in front of it.
struct ReadinessState {
    /// Whether a receive may bring something.
    private(set) var isReadable = true
    /// Whether a send may be taken.
    private(set) var isWritable = true
    /// Whether a short receive may leave bytes behind, or EOF, that no further event reports.
    private var mustReadOn = false
    /// What the selector watches for.
    private(set) var interest: Interest = []
    private var readingShare = IterationShare()
    private var writingShare = IterationShare()

    // MARK: Watching

    /// The selector watches for `interest`, and reports what is ready by an event.
    @inline(__always)
    mutating func watched(for interest: Interest) {
        self.interest = interest
    }

    /// The descriptor has just been registered for reading. Nothing is known to be there.
    mutating func registered(for interest: Interest) {
        self.interest = interest
        isReadable = false
    }

    // MARK: Events

    /// An event was reported.
    @inline(__always)
    mutating func reported(_ readiness: Readiness) {
        if !readiness.isDisjoint(with: [.hangup, .urgent]) { mustReadOn = true }
    }

    /// Returns whether that was known already.
    @inline(__always)
    mutating func becameReadable() -> Bool {
        defer { isReadable = true }
        return isReadable
    }

    /// Returns whether that was known already.
    @inline(__always)
    mutating func becameWritable() -> Bool {
        defer { isWritable = true }
        return isWritable
    }

    // MARK: Results of calls

    /// A receive into `room` bytes brought `count`. Returns whether it has emptied the descriptor.
    @inline(__always)
    mutating func received(_ count: Int, room: Int) -> Bool {
        if count > 0 && count < room && !mustReadOn { isReadable = false }
        return !isReadable
    }

    @inline(__always)
    mutating func receiveWouldBlock() {
        isReadable = false
    }

    /// Push style: EOF was received, and nothing follows it.
    mutating func receivedEOF() {
        isReadable = false
    }

    /// A send would block, or was taken in part.
    @inline(__always)
    mutating func sendWouldBlock() {
        isWritable = false
    }

    // MARK: The share of an iteration

    @inline(__always)
    mutating func hasReadingShare(in iteration: UInt64) -> Bool { readingShare.isLeft(in: iteration) }

    @inline(__always)
    mutating func useReadingShare(_ count: Int) {
        readingShare.use(count)
    }

    /// Uses `count` bytes of the share for sends, if something is left of it.
    @inline(__always)
    mutating func takeWritingShare(_ count: Int, in iteration: UInt64) -> Bool {
        guard writingShare.isLeft(in: iteration) else { return false }
        writingShare.use(count)
        return true
    }
}
