/// Lingering close, which avoids the reset that can destroy a response that the peer has not read.
extension StreamTransport {
    /// Sends what is queued and the rest of what a task is writing, shuts down the write side, and discards what the
    /// peer sends until its EOF. Then it closes the connection. Idempotent. asyncio has no such call; web servers call
    /// it a lingering close.
    ///
    /// After a plain ``close()`` with input that nobody has read, TCP sends a reset, which may overtake the response on
    /// its way (RFC 2525, 2.17). This function avoids that if the peer sends EOF within `time` and after no more than
    /// `maxDiscardedBytes` bytes. When the time is over, the connection is aborted with what is still queued, so that a peer
    /// that does not read cannot hold it. If a write was cut off, the connection is reset at once.
    ///
    /// The protocol receives no data any more, and is notified of the end of the connection as after `close()`.
    ///
    /// - Thread: the loop's.
    public func closeGracefully(within time: Duration = .seconds(5), maxDiscardedBytes: Int = 1 << 20) {
        loop.requireOnLoop("StreamTransport.closeGracefully")
        guard state.life == .open else { return }
        if state.writing == .cutOff { return reset() }
        if state.reading.isOver { return close() }
        endsNow(by: .closeGracefully)
        // The timer bounds what follows the discarding too.
        closingTimer = loop.callLater(after: time) { [weak self] in self?.abort() }.id
        perform(state.closedGracefully(queuedBytes: outstandingBytes, maxDiscardedBytes: maxDiscardedBytes))
        wakeTasks()
    }
}
