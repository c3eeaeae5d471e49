import SystemPackage

/// The bounds of a close that waits for the peer to take what is left. Without them a peer could keep a connection that
/// nobody here holds any more, and so cannot abort.
extension StreamTransport {
    /// How long nothing at all may go out. The kernel gives up on its own closed connections in a similar time.
    private static let stallLimit = Duration.seconds(60)
    /// How long it may take in all when nobody holds the streams, as ``closeGracefully(within:maxDiscardedBytes:)`` by
    /// default.
    private static let abandonedLimit = Duration.seconds(5)

    /// After each event that may have begun such a close.
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

    /// After a close because nobody holds the streams. A graceful close that goes on has a bound already.
    func boundAbandoned() {
        guard state.life == .closing, ending != .closeGracefully else { return }
        if let closingTimer { loop.cancelCallback(closingTimer) }
        closingTimer = loop.callLater(after: Self.abandonedLimit) { [weak self] in self?.giveUpClosing() }.id
    }

    /// With bytes left, so that the peer reads a reset.
    private func giveUpClosing() {
        failed(.timedOut, operation: "send the rest of the write buffer to")
    }
}

extension StreamTransport {
    /// How a connection ended that was not lost, for reports of what comes too late.
    enum Ending: String, CustomStringConvertible {
        case close = "close()"
        case closeGracefully = "closeGracefully()"
        case abort = "abort()"
        case reset = "reset()"
        case peerEOF = "the peer's EOF"

        var description: String { rawValue }
    }

    /// The first one counts.
    func endsNow(by cause: Ending) {
        if !state.isClosing { ending = cause }
    }
}
