/// A task's write that was not sent at once, or that other tasks wait for. An idle connection has no such object.
final class WriteProgress {
    fileprivate(set) var waiters: [WaiterToken] = []
    fileprivate(set) var unsentBytes = 0
    /// It stays as it is after a cut-off.
    fileprivate(set) var sentBytes = 0
}

/// The writes of several tasks are serialized. Each is sent as a whole, and an orderly end of the connection waits for
/// the current one.
extension StreamTransport {
    var unsentBytesOfWrite: Int { writeProgress?.unsentBytes ?? 0 }

    /// How many bytes must be sent before an orderly end of the connection.
    var outstandingBytes: Int { writeBufferBytes + unsentBytesOfWrite }

    private func makeProgress() -> WriteProgress {
        if let writeProgress { return writeProgress }
        let progress = WriteProgress()
        writeProgress = progress
        return progress
    }

    /// Waits until the tasks before this one have written. Each passes the right to write to the next, so that no later
    /// task overtakes it.
    func beginWrite(_ record: TaskRecord?) async throws {
        if state.isClosing || state.writing == .cutOff { throw endError }
        if !state.isWriteInProgress { return state.beganWrite() }
        let progress = makeProgress()
        let token = loop.makeWaiter()
        progress.waiters.append(token)
        let outcome = await loop.suspend(token, record)
        if outcome == .ready { return }
        progress.waiters.removeAll { $0 == token }
        if outcome == .cancelled { throw CancellationError() }
        throw endError
    }

    func sent(_ count: Int, unsentBytes: Int) {
        if unsentBytes == 0, writeProgress == nil { return }
        let progress = makeProgress()
        progress.sentBytes += count
        progress.unsentBytes = unsentBytes
    }

    /// Ends the current write and lets the next task write. Ends the connection if its end has waited for the write.
    func endWrite() {
        if let progress = writeProgress {
            if progress.sentBytes > 0, progress.unsentBytes > 0, !state.isLost { return cutOff(progress) }
            progress.sentBytes = 0
            progress.unsentBytes = 0
        }
        if state.isEnding { perform(state.flushed(queuedBytes: outstandingBytes)) }
        // Read again each time, because the calls above may have begun a wait or ended all of them.
        while let progress = writeProgress, !progress.waiters.isEmpty {
            let next = progress.waiters.removeFirst()
            // A task that was cancelled may still be in the list.
            if loop.isWaiting(next) { return loop.settle(next, .ready) }
        }
        writeProgress = nil
        state.endedWrite()
    }

    func endWriteWaits() {
        guard let progress = writeProgress else { return }
        let waiters = progress.waiters
        progress.waiters = []
        for token in waiters { loop.settle(token, .closed) }
    }

    /// Ends the current write in the middle of its bytes. From now on, closing the socket resets the connection,
    /// because the peer must not take those bytes for the whole message.
    private func cutOff(_ progress: WriteProgress) {
        let mustEnd = state.isEnding
        progress.unsentBytes = 0
        state.writeWasCutOff()
        if mustEnd { return reset() }
        driver.resetOnClose()
        endWriteWaits()
    }
}
