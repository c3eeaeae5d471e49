/// Back-pressure, in both directions.
extension StreamTransport {
    /// Stops `dataReceived` until ``resumeReading()``; the peer is held back by TCP. Idempotent. asyncio: `pause_reading`.
    public func pauseReading() {
        loop.requireOnLoop("StreamTransport.pauseReading")
        perform(state.pausedReading())
    }

    /// Lets `dataReceived` go on. Idempotent. asyncio: `resume_reading`.
    public func resumeReading() {
        loop.requireOnLoop("StreamTransport.resumeReading")
        perform(state.resumedReading())
    }

    /// Whether data is being delivered. asyncio: `is_reading`.
    public var isReading: Bool {
        loop.requireOnLoop("StreamTransport.isReading")
        return state.reading == .active && state.life == .open
    }

    /// Bytes that were written and that the kernel has not taken. asyncio: `get_write_buffer_size`.
    public var writeBufferSize: Int {
        loop.requireOnLoop("StreamTransport.writeBufferSize")
        return queue.count + withDriver { $0.unsentBytes }
    }

    /// The marks between which the protocol is asked to pause and to resume. asyncio: `get_write_buffer_limits`.
    public var writeBufferLimits: (lowBytes: Int, highBytes: Int) {
        loop.requireOnLoop("StreamTransport.writeBufferLimits")
        return (state.lowWaterBytes, state.highWaterBytes)
    }

    /// Sets the marks: `pauseWriting` comes strictly above `highBytes`, `resumeWriting` at `lowBytes` or less.
    ///
    /// 64 KiB and a quarter of it by default; where only the low one is given, the high one is four times it.
    /// asyncio: `set_write_buffer_limits`. Throws `.invalidArgument` unless 0 <= low <= high.
    public func setWriteBufferLimits(highBytes: Int? = nil, lowBytes: Int? = nil) throws(EventLoopError) {
        loop.requireOnLoop("StreamTransport.setWriteBufferLimits")
        let (fourfold, overflow) = (lowBytes ?? 16 * 1024).multipliedReportingOverflow(by: 4)
        let high = highBytes ?? (overflow ? Int.max : fourfold)
        let low = lowBytes ?? high / 4
        guard 0 <= low, low <= high else {
            throw EventLoopError(
                .invalidArgument, "write buffer limits must be 0 <= low <= high, not low \(low) and high \(high)")
        }
        perform(state.changedWaterMarks(high: high, low: low, queuedBytes: writeBufferSize))
    }
}
