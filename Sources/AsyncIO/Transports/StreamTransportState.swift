/// The state of a stream transport, as a pure state machine. The methods are events in the past tense. Each returns the
/// actions that the transport then performs, in the order in which ``Actions`` lists them.
package struct StreamTransportState: ~Copyable {
    package struct Actions: OptionSet, Sendable {
        package let rawValue: UInt8
        package init(rawValue: UInt8) { self.rawValue = rawValue }

        package static let stopReading = Actions(rawValue: 1)
        package static let startReading = Actions(rawValue: 2)
        package static let discardQueue = Actions(rawValue: 4)
        package static let pauseWriting = Actions(rawValue: 8)
        package static let resumeWriting = Actions(rawValue: 16)
        package static let shutdownWrite = Actions(rawValue: 32)
        /// End the connection. Returned once.
        package static let lose = Actions(rawValue: 64)
    }

    package enum Reading: UInt8 {
        /// The protocol has not been notified of the connection yet.
        case idle
        case active, paused
        /// The peer's EOF was received.
        case atEOF
        /// This side has ended the connection before the peer's EOF was received.
        case ended

        @inline(__always) var isOver: Bool { rawValue >= Reading.atEOF.rawValue }
    }

    package enum Writing: UInt8 {
        case open = 0
        /// EOF follows when the write buffer is empty.
        case ending
        /// A write ended after only some of its bytes were sent.
        case cutOff
        case ended
    }

    package enum Life: UInt8 {
        case open = 0
        /// `closeGracefully()` was called and the peer has not sent EOF.
        case lingering
        /// `close()` was called and not everything has been sent.
        case closing
        /// The connection is over. Its consumer has not been notified.
        case lost
        /// The consumer was notified, or is being notified. A task's connection has none.
        case reported
        /// The descriptor was closed, or will be as soon as the kernel no longer uses the driver's memory.
        case closed
    }

    package private(set) var highWaterBytes = 64 * 1024
    package private(set) var lowWaterBytes = 16 * 1024
    package private(set) var reading = Reading.idle
    package private(set) var writing = Writing.open
    package private(set) var life = Life.open
    package private(set) var isWriterPaused = false
    package private(set) var isWriteInProgress = false
    package private(set) var isSendingFile = false
    /// Whether reading was active when the current file began, and the program has not paused it since.
    private var resumesAfterFile = false
    /// How many more bytes `closeGracefully()` discards. The largest value means that there is no limit.
    private var discardableBytes: UInt32 = 0

    package init() {}

    package var isClosing: Bool { life != .open }

    @inline(__always) package var isLost: Bool { life.rawValue >= Life.lost.rawValue }

    package var isLossReported: Bool { life.rawValue >= Life.reported.rawValue }

    /// Whether the connection ends, or its write side is shut down, as soon as everything has been sent.
    package var isEnding: Bool { !isLost && (isClosing || writing == .ending) }

    package var acceptsInput: Bool { life == .open || life == .lingering }

    package var acceptsWrites: Bool {
        // One branch for both.
        @inline(__always) get { (life.rawValue | writing.rawValue) == 0 }
    }

    /// Whether the program may write without waiting for its turn.
    package var acceptsBareWrites: Bool {
        @inline(__always) get { (life.rawValue | writing.rawValue | (isSendingFile ? 1 : 0)) == 0 }
    }

    /// Whether a write that has begun may continue, because the end of the connection waits for it.
    package var letsWritesFinish: Bool { !isLost && writing != .ended }

    // MARK: One direction

    package mutating func openedForReadingOnly() { writing = .ended }

    package mutating func openedForWritingOnly() { reading = .ended }

    // MARK: Reading

    package mutating func started() -> Actions {
        guard reading == .idle else { return [] }
        reading = .active
        return .startReading
    }

    package mutating func pausedReading() -> Actions {
        resumesAfterFile = false
        // Input that is discarded needs no pause.
        guard life == .open, reading == .active || reading == .idle else { return [] }
        // `started` finds a pause that comes before it.
        let actions: Actions = reading == .active ? .stopReading : []
        reading = .paused
        return actions
    }

    package mutating func resumedReading() -> Actions {
        guard reading == .paused else { return [] }
        reading = .active
        return .startReading
    }

    /// The peer's EOF was received. `staysOpen` means that this side continues to write.
    package mutating func receivedEnd(staysOpen: Bool, queuedBytes: Int) -> Actions {
        guard !reading.isOver else { return [] }
        reading = .atEOF
        return staysOpen && writing != .ended ? .stopReading : ended(queuedBytes: queuedBytes).union(.stopReading)
    }

    // MARK: Writing

    /// Bytes were buffered. Writing is paused once, strictly above the mark. asyncio: `_maybe_pause_protocol`.
    package mutating func queued(queuedBytes: Int) -> Actions {
        guard !isWriterPaused, queuedBytes > highWaterBytes else { return [] }
        isWriterPaused = true
        return .pauseWriting
    }

    package mutating func flushed(queuedBytes: Int) -> Actions {
        guard !isLost else { return [] }
        var actions: Actions = []
        if isWriterPaused, queuedBytes <= lowWaterBytes {
            isWriterPaused = false
            actions.insert(.resumeWriting)
        }
        guard queuedBytes == 0 else { return actions }
        if writing == .ending { actions.formUnion(endWriting(queuedBytes: 0)) }
        if life == .closing {
            life = .lost
            actions.insert(.lose)
        }
        return actions
    }

    package mutating func changedWaterMarks(low: Int, high: Int, queuedBytes: Int) -> Actions {
        highWaterBytes = high
        lowWaterBytes = low
        guard !isLost else { return [] }
        return queued(queuedBytes: queuedBytes)
    }

    package mutating func beganWrite() { isWriteInProgress = true }

    /// The task's write has ended, and no other task waits to write.
    package mutating func endedWrite() { isWriteInProgress = false }

    /// A task has begun to send a file, and writes nothing else meanwhile. asyncio pauses reading too, so that a
    /// protocol gets no request that it cannot answer yet.
    package mutating func beganFile(pausesReading: Bool) -> Actions {
        isSendingFile = true
        guard pausesReading, life == .open, reading == .active || reading == .idle else { return [] }
        let actions = pausedReading()
        resumesAfterFile = true
        return actions
    }

    package mutating func endedFile() -> Actions {
        isSendingFile = false
        guard resumesAfterFile else { return [] }
        resumesAfterFile = false
        return resumedReading()
    }

    package mutating func writeWasCutOff() {
        isWriteInProgress = false
        if writing == .open { writing = .cutOff }
    }

    package mutating func endedWriting(queuedBytes: Int) -> Actions {
        acceptsWrites ? endWriting(queuedBytes: queuedBytes) : []
    }

    private mutating func endWriting(queuedBytes: Int) -> Actions {
        writing = queuedBytes > 0 ? .ending : .ended
        if queuedBytes > 0 { return [] }
        // The peer has sent EOF too, so nothing can happen on this connection any more.
        guard reading.isOver, life != .closing else { return .shutdownWrite }
        life = .lost
        return [.shutdownWrite, .lose]
    }

    // MARK: Ending

    /// Reading stops, and the connection ends as soon as the write buffer is flushed.
    package mutating func closed(queuedBytes: Int) -> Actions {
        life == .open ? ended(queuedBytes: queuedBytes) : []
    }

    /// EOF is sent as soon as the write buffer is flushed, and input is discarded until the peer's EOF.
    package mutating func closedGracefully(queuedBytes: Int, maxDiscardedBytes byteCount: Int) -> Actions {
        guard life == .open else { return [] }
        guard !reading.isOver else { return ended(queuedBytes: queuedBytes) }
        life = .lingering
        discardableBytes = UInt32(clamping: byteCount)
        var actions: Actions = []
        // A task's connection, and one that was paused, is not being read.
        if reading != .active {
            reading = .active
            actions.insert(.startReading)
        }
        return writing == .open ? actions.union(endWriting(queuedBytes: queuedBytes)) : actions
    }

    /// If the input exceeds the limit, the connection ends as after `close()`.
    package mutating func discarded(_ byteCount: Int, queuedBytes: Int) -> Actions {
        guard life == .lingering else { return [] }
        if discardableBytes < .max { discardableBytes -= min(discardableBytes, UInt32(clamping: byteCount)) }
        return discardableBytes > 0 ? [] : ended(queuedBytes: queuedBytes)
    }

    private mutating func ended(queuedBytes: Int) -> Actions {
        guard acceptsInput else { return [] }
        var actions = endReading()
        if queuedBytes == 0 {
            life = .lost
            actions.insert(.lose)
        } else {
            life = .closing
        }
        return actions
    }

    /// `abort()` was called, or an error ended the connection.
    package mutating func failed() -> Actions {
        guard !isLost else { return [] }
        let actions = endReading()
        writing = .ended
        life = .lost
        return actions.union([.discardQueue, .lose])
    }

    private mutating func endReading() -> Actions {
        let actions: Actions = reading == .active ? .stopReading : []
        if reading != .atEOF { reading = .ended }
        return actions
    }

    package mutating func reportedLoss() { if life == .lost { life = .reported } }

    package mutating func closedDescriptor() { life = .closed }
}
