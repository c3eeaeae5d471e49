import SystemPackage

extension StreamTransport {
    /// Flushes the write buffer, then closes the connection and calls `connectionLost`. Idempotent. asyncio: `close`.
    ///
    /// The write that a task has begun is sent too. If a write was cut off (see ``StreamWriter/write(_:)-(RawSpan)``),
    /// the connection is reset. Reading stops at once; if there is unread input, the peer may lose what is still in
    /// flight: see ``closeGracefully(within:maxDiscardedBytes:)``.
    ///
    /// The connection stays open while the peer does not read, until nothing could be sent for a minute. Then it is
    /// reset, with an `IOError`. ``closeGracefully(within:maxDiscardedBytes:)``, ``abort()`` and
    /// ``Server/shutDown(within:)`` let the caller choose the bound. A pipe stays open for as long as its reader likes.
    public func close() {
        loop.requireOnLoop("StreamTransport.close")
        if state.writing == .cutOff { return reset() }
        endsNow(by: .close)
        perform(state.closed(queuedBytes: outstandingBytes))
        boundClosing()
        // The flush may take as long as the peer likes, so tasks that wait for the connection are resumed now.
        wakeTasks()
    }

    /// Flushes the write buffer and the write that a task has begun, shuts down the write side, discards input until
    /// the peer's EOF, and closes the connection: a lingering close. Idempotent. asyncio has no such call.
    ///
    /// After a plain ``close()`` with unread input, TCP sends a reset, which can destroy a response that is still in
    /// flight (RFC 2525, 2.17). This function avoids that if the peer sends EOF within `time` and after at most
    /// `maxDiscardedBytes` bytes. After `time`, the connection is aborted, so that a peer that does not read cannot
    /// hold it open. If a write was cut off, the connection is reset at once. The protocol receives no further data.
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

    /// Closes the connection at once and discards the write buffer. Idempotent. asyncio: `abort`. The peer reads EOF,
    /// unless bytes are discarded or a write was cut off: then the connection is reset.
    public func abort() {
        loop.requireOnLoop("StreamTransport.abort")
        endsNow(by: .abort)
        end(with: nil)
    }

    /// Closes the connection at once with a reset. The peer reads an error instead of EOF, so it does not take a part
    /// of a response for the whole. asyncio has no such call.
    public func reset() {
        loop.requireOnLoop("StreamTransport.reset")
        endsNow(by: .reset)
        if !state.isLost { driver.resetOnClose() }
        end(with: nil)
    }

    /// Flushes the write buffer, then shuts down the write side. Reading continues. Idempotent. asyncio: `write_eof`.
    /// If a write was cut off, the connection is reset instead. The same as ``close()`` for a pipe.
    public func writeEOF() {
        loop.requireOnLoop("StreamTransport.writeEOF")
        if state.writing == .cutOff { return reset() }
        if directions == .write { return close() }
        perform(state.endedWriting(queuedBytes: outstandingBytes))
    }

    /// Whether the connection is closed or being closed. asyncio: `is_closing`.
    public var isClosing: Bool {
        loop.requireOnLoop("StreamTransport.isClosing")
        return state.isClosing
    }

    /// Whether ``writeEOF()`` is possible, which is always true, except for a pipe to read from. asyncio:
    /// `can_write_eof`.
    public var canWriteEOF: Bool { directions.contains(.write) }

    // MARK: Bounds

    // A close waits until the peer has received the write buffer. Without bounds, a peer could hold a connection that
    // no code of this program refers to any more, and so cannot abort.

    /// How long the peer may receive nothing at all; similar to the kernel's limit for its own closed connections.
    private static let stallLimit = Duration.seconds(60)
    /// How long the close may take after the streams were released, as ``closeGracefully(within:maxDiscardedBytes:)``.
    private static let abandonedLimit = Duration.seconds(5)

    /// Starts the timer if such a close has begun.
    func boundClosing() {
        // The reader of a pipe is another program of this machine, such as a pager that waits for its user.
        guard state.life == .closing, closingTimer == .stale, driver.channel.isSocket else { return }
        let bytes = outstandingBytes
        let timer = loop.callLater(after: Self.stallLimit) { [weak self] in
            guard let self else { return }
            closingTimer = .stale
            if outstandingBytes < bytes { boundClosing() } else { giveUpClosing() }
        }
        closingTimer = timer.id
    }

    /// Ends the connection. Bytes are left, so the peer reads a reset.
    private func giveUpClosing() {
        failed(.timedOut, operation: "send the rest of the write buffer to")
    }

    private func cancelClosingTimer() {
        if closingTimer != .stale { loop.cancelCallback(closingTimer) }
    }

    // MARK: Released streams and the closed loop

    package func abandoned() {
        if loop.core.pointee.debug.isOn, !state.isClosing {
            loop.warn(.unclosed, "\(driver.label) was released without close()", callSite: origin)
        }
        close()
        // A graceful close in progress has its own timer.
        guard state.life == .closing, ending != .closeGracefully else { return }
        cancelClosingTimer()
        closingTimer = loop.callLater(after: Self.abandonedLimit) { [weak self] in self?.giveUpClosing() }.id
    }

    /// Frees the socket without calling the protocol, because the loop was closed.
    package func loopClosed() {
        if !state.isLost {
            lossError = EventLoopError.closed
            if outstandingBytes > 0 { driver.resetOnClose() }
            _ = state.failed()
            queue.removeAll()
            readWaiter = StreamWaiter()
            writeWaiter = StreamWaiter()
        }
        state.closedDescriptor()
        driver.close()
        // Last: the user's code may run when the protocol is released.
        install(nil)
    }

    // MARK: Carrying out

    /// Ends the connection at once, because of `error`. `bytes` is how many bytes are lost, `nil` all that are not
    /// sent.
    func end(with error: (any Error)?, losing bytes: Int? = nil) {
        if !state.isLost {
            if lossError == nil { lossError = error }
            // The peer must not take what it has received for the whole.
            if bytes ?? outstandingBytes > 0 { driver.resetOnClose() }
        }
        perform(state.failed())
    }

    /// The protocol is notified in the next iteration, as in asyncio, so never within one of its own calls.
    func lose() {
        cancelClosingTimer()
        driver.detach()
        wakeTasks()
        guard consumer != nil else { return finish() }
        callSoon { [self] in
            state.reportedLoss()
            callConsumer("connectionLost") { try $0.connectionLost(lossError) }
            finish()
        }
    }

    func wakeTasks() {
        readWaiter.end(on: loop)
        writeWaiter.end(on: loop)
        endWriteWaits()
    }

    private func finish() {
        // The loop may have been closed meanwhile.
        guard state.life != .closed else { return }
        state.closedDescriptor()
        driver.close()
        connectionOrigin?.connectionEnded()
        // Last: the user's code may run when the protocol is released.
        install(nil)
    }

    /// What ended a connection that was not lost, for reports about later calls.
    enum Ending: String {
        case close = "close()"
        case closeGracefully = "closeGracefully()"
        case abort = "abort()"
        case reset = "reset()"
        case peerEOF = "the peer's EOF"
        case readerLeft = "the reader of the pipe"
    }

    /// Records what ends the connection. Only the first call counts.
    func endsNow(by cause: Ending) { if !state.isClosing { ending = cause } }
}
