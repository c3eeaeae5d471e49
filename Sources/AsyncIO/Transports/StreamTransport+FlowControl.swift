extension StreamTransport {
    /// Stops calls of `dataReceived`, and so makes the peer wait. Idempotent. asyncio: `pause_reading`.
    public func pauseReading() {
        loop.requireOnLoop("StreamTransport.pauseReading")
        perform(state.pausedReading())
    }

    /// Resumes calls of `dataReceived`. Idempotent. asyncio: `resume_reading`.
    public func resumeReading() {
        loop.requireOnLoop("StreamTransport.resumeReading")
        perform(state.resumedReading())
    }

    /// Whether received data is being delivered. asyncio: `is_reading`.
    public var isReading: Bool {
        loop.requireOnLoop("StreamTransport.isReading")
        return state.reading == .active && state.life == .open
    }

    /// The number of written bytes that the kernel has not accepted yet. asyncio: `get_write_buffer_size`.
    public var writeBufferBytes: Int {
        loop.requireOnLoop("StreamTransport.writeBufferBytes")
        return queue.count + withDriver { $0.unsentBytes }
    }

    /// The water marks of the write buffer; 16 KiB and 64 KiB by default. asyncio: `get_write_buffer_limits`.
    ///
    /// The protocol's `pauseWriting` is called when more than `highBytes` are buffered, and `resumeWriting` when
    /// `lowBytes` or less are.
    public var writeBufferLimits: (lowBytes: Int, highBytes: Int) {
        loop.requireOnLoop("StreamTransport.writeBufferLimits")
        return (state.lowWaterBytes, state.highWaterBytes)
    }

    /// Sets ``writeBufferLimits``. asyncio: `set_write_buffer_limits`. If only one mark is given, the high mark is four
    /// times the low one. Throws `.invalidArgument` unless 0 <= low <= high.
    public func setWriteBufferLimits(lowBytes: Int? = nil, highBytes: Int? = nil) throws(EventLoopError) {
        loop.requireOnLoop("StreamTransport.setWriteBufferLimits")
        let (low, high) = try StreamTransportState.waterMarks(low: lowBytes, high: highBytes)
        perform(state.changedWaterMarks(low: low, high: high, queuedBytes: writeBufferBytes))
    }
}

extension StreamTransportState {
    /// Returns both marks, one of which may be missing. Throws `.invalidArgument` unless 0 <= low <= high.
    static func waterMarks(low: Int?, high: Int?) throws(EventLoopError) -> (low: Int, high: Int) {
        let (fourfold, overflow) = (low ?? 16 * 1024).multipliedReportingOverflow(by: 4)
        let high = high ?? (overflow ? Int.max : fourfold)
        let low = low ?? high / 4
        guard 0 <= low, low <= high else {
            throw EventLoopError(
                .invalidArgument, "write buffer limits must be 0 <= low <= high, not low \(low) and high \(high)")
        }
        return (low, high)
    }
}
