import SystemPackage

/// The bounds of a close that waits until the peer has received the write buffer. Without them, a peer could hold a
/// connection that no code of this program refers to any more, and so cannot abort.
extension StreamTransport {
    /// How long the peer may receive nothing at all. The kernel gives up its own closed connections after a similar
    /// time.
    private static let stallLimit = Duration.seconds(60)
    /// How long the close may take after the streams were released. The default of
    /// ``closeGracefully(within:maxDiscardedBytes:)`` is the same.
    private static let abandonedLimit = Duration.seconds(5)

    /// Starts the timer if such a close has begun. Called after each event that may begin one.
    func boundClosing() {
        guard state.life == .closing, closingTimer == nil else { return }
        let bytes = outstandingBytes
        closingTimer =
            loop.callLater(after: Self.stallLimit) { [weak self] in
                guard let self else { return }
                closingTimer = nil
                if outstandingBytes < bytes { boundClosing() } else { giveUpClosing() }
            }.id
    }

    /// Starts a shorter timer after a close because the streams were released. A graceful close in progress already has
    /// its own timer.
    func boundAbandoned() {
        guard state.life == .closing, ending != .closeGracefully else { return }
        if let closingTimer { loop.cancelCallback(closingTimer) }
        closingTimer = loop.callLater(after: Self.abandonedLimit) { [weak self] in self?.giveUpClosing() }.id
    }

    /// Ends the connection. Bytes are left, so the peer reads a reset.
    private func giveUpClosing() {
        failed(.timedOut, operation: "send the rest of the write buffer to")
    }
}

extension StreamTransport {
    /// What ended a connection that was not lost, for reports about later calls.
    enum Ending: String, CustomStringConvertible {
        case close = "close()"
        case closeGracefully = "closeGracefully()"
        case abort = "abort()"
        case reset = "reset()"
        case peerEOF = "the peer's EOF"

        var description: String { rawValue }
    }

    /// Records what ends the connection. Only the first call counts.
    func endsNow(by cause: Ending) {
        if !state.isClosing { ending = cause }
    }
}
