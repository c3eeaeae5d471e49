/// A write of a task that could not be sent at once, and the tasks that wait to write after it.
///
/// An idle connection has none.
final class WriteTurn {
    /// Whether the write goes on. Otherwise it was cut off.
    fileprivate(set) var isTaken = true
    /// Who waits for the turn, in order.
    var line: [WaiterToken] = []
    /// What is left of the write.
    fileprivate(set) var unsentBytes = 0
    /// How much of it went out; after a cut-off for good.
    fileprivate(set) var sentBytes = 0
}

/// Tasks that write take turns, each with the whole of its bytes: the end of the connection waits for whose turn it is.
extension StreamTransport {
    /// Whether a task writes and has to wait.
    @inline(__always)
    var isTurnTaken: Bool { turn.map(\.isTaken) ?? false }

    /// What is left of the write that has the turn.
    @inline(__always)
    var unsentTurnBytes: Int { turn.map(\.unsentBytes) ?? 0 }

    /// What goes out before the connection may end in order.
    var outstandingBytes: Int { writeBufferSize + unsentTurnBytes }

    /// Takes the turn, which is free.
    func takeTurn() {
        turn = WriteTurn()
    }

    /// Waits for the writers before. A turn is handed over, so that nobody pushes in. On the loop, at home.
    func beginTurn(_ record: TaskRecord?) async throws {
        if state.isClosing || state.writing == .cutOff { throw endError }
        guard let turn, turn.isTaken else { return takeTurn() }
        let token = loop.makeWaiter()
        turn.line.append(token)
        let outcome = await loop.suspend(token, record)
        if outcome == .ready { return }
        turn.line.removeAll { $0 == token }
        if outcome == .cancelled { throw CancellationError() }
        throw endError
    }

    /// `count` more bytes of the write that has the turn went out.
    func sent(_ count: Int, unsentBytes: Int) {
        turn?.sentBytes += count
        turn?.unsentBytes = unsentBytes
    }

    /// Hands the turn over, and ends the connection if that waited for it.
    func endTurn() {
        guard let turn else { return }
        if turn.sentBytes > 0, turn.unsentBytes > 0, state.life != .lost { return cutOff(turn) }
        turn.sentBytes = 0
        turn.unsentBytes = 0
        if state.isEnding { perform(state.flushed(queuedBytes: outstandingBytes)) }
        while !turn.line.isEmpty {
            let next = turn.line.removeFirst()
            // One that was cancelled may not have left the line yet.
            if loop.isWaiting(next) { return loop.settle(next, .ready) }
        }
        self.turn = nil
    }

    /// The current write ends in the middle of its bytes. Nothing may follow them, and the peer must not take them for the
    /// whole message, so whatever closes the socket from now on resets the connection.
    private func cutOff(_ turn: WriteTurn) {
        let mustEnd = state.isEnding
        turn.unsentBytes = 0
        turn.isTaken = false
        if mustEnd { return reset() }
        state.writeWasCutOff()
        driver.resetOnClose()
        let line = turn.line
        turn.line = []
        for token in line { loop.settle(token, .closed) }
    }
}
