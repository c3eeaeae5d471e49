/// A task's write that was not sent at once, or that other tasks wait for. There is an object only then, so an idle
/// connection has none.
final class WriteProgress {
    /// The tasks that wait to write, in order.
    fileprivate(set) var waiters: [WaiterToken] = []
    /// How many bytes of the write are not sent.
    fileprivate(set) var unsentBytes = 0
    /// How many bytes of the write were sent. It stays as it is after a cut-off.
    fileprivate(set) var sentBytes = 0
}

/// The writes of several tasks are serialized. Each is sent as a whole, and an orderly end of the connection waits for
/// the current one.
extension StreamTransport {
    /// How many bytes of the current write are not sent.
    var unsentBytesOfWrite: Int { writeProgress?.unsentBytes ?? 0 }

    /// How many bytes must be sent before an orderly end of the connection.
    var outstandingBytes: Int { writeBufferBytes + unsentBytesOfWrite }

    /// Creates the object if there is none yet.
    private func makeProgress() -> WriteProgress {
        if let writeProgress { return writeProgress }
        let progress = WriteProgress()
        writeProgress = progress
        return progress
    }

    /// Waits until the tasks before this one have written. Each passes the right to write to the next, so that no later
    /// task overtakes it. The task is on its loop.
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

    /// Notes that `count` more bytes of the current write were sent, and how many are left.
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

    /// Ends the waits of the tasks that want to write, because the connection was closed or a write was cut off.
    func endWriteWaits() {
        guard let progress = writeProgress else { return }
        let waiters = progress.waiters
        progress.waiters = []
        for token in waiters { loop.settle(token, .closed) }
    }

    /// Ends the current write in the middle of its bytes. No other bytes may follow, and the peer must not take them
    /// for the whole message. Therefore closing the socket resets the connection from now on.
    private func cutOff(_ progress: WriteProgress) {
        let mustEnd = state.isEnding
        progress.unsentBytes = 0
        state.writeWasCutOff()
        if mustEnd { return reset() }
        driver.resetOnClose()
        endWriteWaits()
    }
}
