/// Whose turn it is to write, of the tasks that do. An idle connection has nothing to remember.
enum WriteTurn {
    case free
    /// A task writes; nothing of it had to wait yet, and nobody waits for it.
    case taken
    case remembered(WriteProgress)
}

/// A write that is not complete, or for which others wait.
final class WriteProgress {
    /// Whether the write was ended before all of its bytes were sent. Then nobody has the turn any more.
    fileprivate(set) var wasCutOff = false
    /// The tasks that wait for the turn, in order.
    fileprivate(set) var line: [WaiterToken] = []
    /// What is left of the write.
    fileprivate(set) var unsentBytes = 0
    /// How much of it went out; after a cut-off for good.
    fileprivate(set) var sentBytes = 0
}

/// Tasks that write take turns, each with the whole of its bytes: the end of the connection waits for whose turn it is.
extension StreamTransport {
    /// Whether a task that wants to write has to wait.
    @inline(__always)
    var isTurnTaken: Bool {
        switch turn {
        case .free: false
        case .taken: true
        case .remembered(let progress): !progress.wasCutOff
        }
    }

    private var progress: WriteProgress? {
        if case .remembered(let progress) = turn { progress } else { nil }
    }

    /// What is left of the write that has the turn.
    var unsentTurnBytes: Int { progress?.unsentBytes ?? 0 }

    /// How much of the write that was cut off went out.
    var cutOffBytes: Int { progress?.sentBytes ?? 0 }

    /// What goes out before the connection may end in order.
    var outstandingBytes: Int { writeBufferSize + unsentTurnBytes }

    /// Takes the turn, which is free.
    func takeTurn() {
        turn = .taken
    }

    private func remember() -> WriteProgress {
        if let progress { return progress }
        let progress = WriteProgress()
        turn = .remembered(progress)
        return progress
    }

    /// Waits for the writers before. A turn is handed over, so that nobody pushes in. On the loop, at home.
    func beginTurn(_ record: TaskRecord?) async throws {
        if state.isClosing || state.writing == .cutOff { throw endError }
        if !isTurnTaken { return takeTurn() }
        let progress = remember()
        let token = loop.makeWaiter()
        progress.line.append(token)
        let outcome = await loop.suspend(token, record)
        if outcome == .ready { return }
        progress.line.removeAll { $0 == token }
        if outcome == .cancelled { throw CancellationError() }
        throw endError
    }

    /// `count` more bytes of the write that has the turn went out.
    func sent(_ count: Int, unsentBytes: Int) {
        if unsentBytes == 0, progress == nil { return }
        let progress = remember()
        progress.sentBytes += count
        progress.unsentBytes = unsentBytes
    }

    /// Hands the turn over, and ends the connection if that waited for it.
    func endTurn() {
        if let progress {
            if progress.sentBytes > 0, progress.unsentBytes > 0, state.life != .lost { return cutOff(progress) }
            progress.sentBytes = 0
            progress.unsentBytes = 0
        }
        if state.isEnding { perform(state.flushed(queuedBytes: outstandingBytes)) }
        // A wait may have begun meanwhile.
        while let progress, !progress.line.isEmpty {
            let next = progress.line.removeFirst()
            // One that was cancelled may not have left the line yet.
            if loop.isWaiting(next) { return loop.settle(next, .ready) }
        }
        turn = .free
    }

    /// The connection was closed: nobody gets the turn any more.
    func dismissLine() {
        guard let progress else { return }
        let line = progress.line
        progress.line = []
        for token in line { loop.settle(token, .closed) }
    }

    /// The current write ends in the middle of its bytes. Nothing may follow them, and the peer must not take them for the
    /// whole message, so whatever closes the socket from now on resets the connection.
    private func cutOff(_ progress: WriteProgress) {
        let mustEnd = state.isEnding
        progress.unsentBytes = 0
        progress.wasCutOff = true
        if mustEnd { return reset() }
        state.writeWasCutOff()
        driver.resetOnClose()
        dismissLine()
    }
}
