/// What a stream transport is in, and what follows from an event. Pure: it calls nobody and holds nothing.
///
/// Methods are events in the past tense; each returns what is to be done, for the transport to carry out in the order
/// in which ``Actions`` lists them.
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
        /// End the connection: happens once.
        package static let lose = Actions(rawValue: 64)
    }

    package enum Reading: UInt8 {
        /// The protocol has not heard of the connection yet.
        case idle
        case active, paused
        /// The peer's EOF was received.
        case atEOF
        /// This side has ended the connection before the peer's EOF was received.
        case ended

        /// Whether nothing is received any more.
        @inline(__always)
        var isOver: Bool { rawValue >= Reading.atEOF.rawValue }
    }

    package enum Writing: UInt8 {
        case open
        /// The end follows when the queue is empty.
        case ending
        /// A write ended with only some of its bytes sent: what is sent next would be taken for the rest of it.
        case cutOff
        case ended
    }

    package enum Life: UInt8 {
        case open
        /// `closeGracefully()` was called and the peer has not ended.
        case lingering
        /// `close()` was called and not everything has been sent.
        case closing
        /// The connection is over. Its consumer has not been notified.
        case lost
        /// The consumer was notified, or is being notified. A task's connection has none.
        case reported
        /// The descriptor was closed, or will be as soon as the kernel has given back memory.
        case closed
    }

    package private(set) var highWaterBytes = 64 * 1024
    package private(set) var lowWaterBytes = 16 * 1024
    package private(set) var reading = Reading.idle
    package private(set) var writing = Writing.open
    package private(set) var life = Life.open
    package private(set) var isWriterPaused = false
    /// How many more bytes `closeGracefully()` drops. The largest number stands for any number.
    private var discardableBytes: UInt32 = 0

    package init() {}

    package var isClosing: Bool { life != .open }

    /// Whether the connection is over.
    @inline(__always)
    package var isLost: Bool { life.rawValue >= Life.lost.rawValue }

    /// Whether the consumer knows that the connection is over.
    package var isLossReported: Bool { life.rawValue >= Life.reported.rawValue }

    /// Whether the connection ends, or its write side is shut down, as soon as everything has been sent.
    package var isEnding: Bool { !isLost && (isClosing || writing == .ending) }

    /// Whether the peer's bytes are received.
    package var acceptsInput: Bool { life == .open || life == .lingering }

    package var acceptsWrites: Bool {
        @inline(__always)
        get { life == .open && writing == .open }
    }

    /// Whether a write that has begun may go on: the end waits for it.
    package var letsWritesFinish: Bool { !isLost && writing != .ended }

    // MARK: Reading

    /// The protocol was told of the connection.
    package mutating func started() -> Actions {
        guard reading == .idle else { return [] }
        reading = .active
        return .startReading
    }

    package mutating func pausedReading() -> Actions {
        // What is only dropped needs no pause.
        guard life == .open else { return [] }
        switch reading {
        case .active:
            reading = .paused
            return .stopReading
        case .idle:
            // `started` then finds it paused already.
            reading = .paused
            return []
        case .paused, .atEOF, .ended: return []
        }
    }

    package mutating func resumedReading() -> Actions {
        guard reading == .paused else { return [] }
        reading = .active
        return .startReading
    }

    /// The end of the peer's bytes was read. `staysOpen`: we go on writing.
    package mutating func receivedEnd(staysOpen: Bool, queuedBytes: Int) -> Actions {
        guard !reading.isOver else { return [] }
        reading = .atEOF
        let actions: Actions = .stopReading
        return staysOpen && writing != .ended ? actions : actions.union(ended(queuedBytes: queuedBytes))
    }

    // MARK: Writing

    /// Strictly above the mark, and once until it was resumed. asyncio: `_maybe_pause_protocol`.
    package mutating func queued(queuedBytes: Int) -> Actions {
        guard !isWriterPaused, queuedBytes > highWaterBytes else { return [] }
        isWriterPaused = true
        return .pauseWriting
    }

    /// Bytes went out.
    package mutating func flushed(queuedBytes: Int) -> Actions {
        guard !isLost else { return [] }
        var actions: Actions = []
        if isWriterPaused, queuedBytes <= lowWaterBytes {
            isWriterPaused = false
            actions.insert(.resumeWriting)
        }
        guard queuedBytes == 0 else { return actions }
        if writing == .ending { actions.formUnion(endWriting()) }
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

    /// A task's write was cancelled, or failed, after some of its bytes had gone out.
    package mutating func writeWasCutOff() {
        if writing == .open { writing = .cutOff }
    }

    package mutating func endedWriting(queuedBytes: Int) -> Actions {
        guard acceptsWrites else { return [] }
        guard queuedBytes == 0 else {
            writing = .ending
            return []
        }
        return endWriting()
    }

    private mutating func endWriting() -> Actions {
        writing = .ended
        // The peer has ended too: nothing can happen on this connection any more.
        guard reading.isOver, life != .closing else { return .shutdownWrite }
        life = .lost
        return [.shutdownWrite, .lose]
    }

    // MARK: Ending

    /// `close()`: no more reading, and the end as soon as the queue is flushed.
    package mutating func closed(queuedBytes: Int) -> Actions {
        life == .open ? ended(queuedBytes: queuedBytes) : []
    }

    /// `closeGracefully()`: EOF is sent as soon as the queue is flushed, and bytes are received and dropped until the
    /// peer's EOF.
    package mutating func closedGracefully(queuedBytes: Int, maxDiscardedBytes byteCount: Int) -> Actions {
        guard life == .open else { return [] }
        guard !reading.isOver else { return ended(queuedBytes: queuedBytes) }
        life = .lingering
        discardableBytes = UInt32(clamping: byteCount)
        var actions: Actions = []
        // A task's connection, and one that was paused, has not delivered anything.
        if reading != .active {
            reading = .active
            actions.insert(.startReading)
        }
        guard writing == .open else { return actions }
        if queuedBytes == 0 { return actions.union(endWriting()) }
        writing = .ending
        return actions
    }

    /// Bytes were received that nobody takes any more. More of them than is to be waited for end the connection as
    /// `close()` does.
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

    /// `abort()`, or an error that ends the connection.
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

    /// The consumer is being notified of the loss.
    package mutating func reportedLoss() {
        if life == .lost { life = .reported }
    }

    /// The driver was told to close the descriptor.
    package mutating func closedDescriptor() {
        life = .closed
    }
}
