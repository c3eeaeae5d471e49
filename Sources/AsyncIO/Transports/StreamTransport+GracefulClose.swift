/// A close that does not cost the peer the last answer.
extension StreamTransport {
    /// Sends what is queued, the rest of what a task is writing, and our end, then drops what the peer still sends until its end; then the connection ends.
    /// Idempotent. asyncio has no such call; web servers call it a lingering close.
    ///
    /// A plain ``close()`` with input that nobody has read makes TCP send a reset, which may overtake the answer on its way
    /// (RFC 2525, 2.17). This one ends without it if the peer ends too, within `time` and after no more than `byteCount`
    /// bytes. When the time is over, the connection is aborted with whatever is still queued, so that a peer that does
    /// not read cannot hold it. If a write was cut off, the connection is reset at once.
    ///
    /// The protocol hears no data any more, and of the end as after `close()`.
    public func closeGracefully(within time: Duration = .seconds(5), discardingAtMost byteCount: Int = 1 << 20) {
        loop.requireOnLoop("StreamTransport.closeGracefully")
        guard state.life == .open else { return }
        if state.writing == .cutOff { return reset() }
        guard state.reading != .ended else { return close() }
        endsNow(by: .closeGracefully)
        let discarder = Discarder(self, former: consumer, byteCount: byteCount)
        install(discarder)
        // A wait without end would be none.
        discarder.timer = loop.callLater(after: time) { [weak self] in self?.abort() }
        perform(state.closedGracefully(queuedBytes: outstandingBytes))
        // A task's transport did not deliver anything before.
        if !isPush { perform(state.started()) }
        wakeTasks()
    }

    /// The byte limit has passed: the rest is an ordinary close, which the time still bounds.
    fileprivate func discardedEnough() {
        perform(state.discardedEnough(queuedBytes: outstandingBytes))
    }
}

/// Takes the place of the protocol while what the peer sends is dropped.
final class Discarder: StreamProtocol {
    private unowned let transport: StreamTransport
    /// Who hears of the loss.
    private(set) var former: (any StreamProtocol)?
    private var remaining: Int
    fileprivate var timer: TimerHandle?

    init(_ transport: StreamTransport, former: (any StreamProtocol)?, byteCount: Int) {
        self.transport = transport
        self.former = former
        remaining = byteCount
    }

    func replaceFormer(by newProtocol: any StreamProtocol) {
        let released = former.take()
        former = newProtocol
        // As in `install`.
        withExtendedLifetime(released) {}
    }

    func connectionMade(_ transport: StreamTransport) throws { try former?.connectionMade(transport) }

    func dataReceived(_ data: RawSpan) {
        remaining -= min(remaining, data.byteCount)
        if remaining <= 0 { transport.discardedEnough() }
    }

    func pauseWriting() throws { try former?.pauseWriting() }

    func resumeWriting() throws { try former?.resumeWriting() }

    func connectionLost(_ error: (any Error)?) throws {
        timer?.cancel()
        try former?.connectionLost(error)
    }
}
