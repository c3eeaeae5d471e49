/// Lingering close, which avoids the reset that can destroy a response that the peer has not read.
extension StreamTransport {
    /// Flushes the write buffer and the write that a task has begun, shuts down the write side, discards input until
    /// the peer's EOF, and closes the connection. Idempotent. asyncio has no such call; web servers call it a lingering
    /// close.
    ///
    /// After a plain ``close()`` with unread input, TCP sends a reset, which can destroy a response that is still in
    /// flight (RFC 2525, 2.17). This function avoids that if the peer sends EOF within `time` and after at most
    /// `maxDiscardedBytes` bytes. After `time`, the connection is aborted and the write buffer is discarded, so that a
    /// peer that does not read cannot hold it open. If a write was cut off, the connection is reset at once.
    /// The protocol receives no further data. It is notified of the end of the connection as after `close()`.
    ///
    /// - Thread: the loop's.
    public func closeGracefully(within time: Duration = .seconds(5), maxDiscardedBytes: Int = 1 << 20) {
        loop.requireOnLoop("StreamTransport.closeGracefully")
        guard state.life == .open else { return }
        if state.writing == .cutOff { return reset() }
        if state.reading.isOver { return close() }
        endsNow(by: .closeGracefully)
        // The timer also bounds what follows after `maxDiscardedBytes`.
        closingTimer = loop.callLater(after: time) { [weak self] in self?.abort() }.id
        perform(state.closedGracefully(queuedBytes: outstandingBytes, maxDiscardedBytes: maxDiscardedBytes))
        wakeTasks()
    }
}
