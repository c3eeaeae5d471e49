import AsyncIOSystem
package import SystemPackage

extension StreamTransport: StreamDriverDelegate {
    /// Delivers bytes and returns how many the protocol has taken. One that lends memory may stop in between.
    package func received(_ bytes: UnsafeRawBufferPointer) -> Int {
        guard state.life == .open else { return discard(bytes.count) }
        if bufferedConsumer != nil { return copyIntoBuffers(bytes) }
        attempt("dataReceived") { try heldConsumer.dataReceived(bytes.bytes) }
        return bytes.count
    }

    @inline(never) private func discard(_ byteCount: Int) -> Int {
        perform(state.discarded(byteCount, queuedBytes: outstandingBytes))
        return byteCount
    }

    private func copyIntoBuffers(_ bytes: UnsafeRawBufferPointer) -> Int {
        var taken = 0
        while taken < bytes.count, state.reading == .active {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[taken...])
            // The protocol may have been replaced by one of the other kind meanwhile.
            guard let bufferedConsumer else { return taken + received(rest) }
            attempt("bufferUpdated") { taken += try bufferedConsumer.copy(rest) }
        }
        return taken
    }

    /// Receives into memory of the protocol, which may meanwhile end the connection or be replaced.
    package func lend(_ receive: (UnsafeMutableRawBufferPointer) -> Int) -> Bool {
        guard let lender = bufferedConsumer, state.life == .open else { return false }
        var byteCount = 0
        attempt("withReadBuffer") {
            byteCount = try lender.lend(sizeHintBytes: loop.core.pointee.receiveBuffer.count, receive)
        }
        if byteCount > 0, state.acceptsInput {
            attempt("bufferUpdated") { try lender.bufferUpdated(byteCount: byteCount) }
        }
        return true
    }

    package func receivedEOF() {
        guard state.acceptsInput, !state.reading.isOver else { return }
        if state.life == .lingering {
            return perform(state.receivedEnd(staysOpen: false, queuedBytes: outstandingBytes))
        }
        var staysOpen = false
        callConsumer("eofReceived") { staysOpen = try $0.eofReceived() }
        if !staysOpen { endsNow(by: .peerEOF) }
        perform(state.receivedEnd(staysOpen: staysOpen, queuedBytes: outstandingBytes))
        boundClosing()
    }

    /// In pull style, the write side stays open until the writer is closed.
    func pulledEnd() { perform(state.receivedEnd(staysOpen: true, queuedBytes: outstandingBytes)) }

    package func failed(_ errno: Errno, operation: String) {
        let object = isOfSocket ? "" : " descriptor \(driver.channel.descriptor.rawValue)"
        end(with: IOError(errno, operation: operation + object, address: peerAddress))
    }

    /// For a protocol, it is an orderly end if nothing is left to send. asyncio: `_UnixWritePipeTransport._read_ready`.
    package func readerLeft() {
        guard isPush, outstandingBytes == 0 else { return failed(.brokenPipe, operation: "send to") }
        endsNow(by: .readerLeft)
        end(with: nil)
    }

    private var isOfSocket: Bool { peerAddress != nil || driver.channel.isSocket }

    /// Resumes, in pull style, the task that waits to receive. Returns its job.
    package func becameReadable() -> UnownedJob? { readWaiter.endReturningJob(on: loop) }

    /// Flushes the write buffer, and then resumes the task that waits to send. Returns its job if `returningJob`.
    package func becameWritable(returningJob: Bool) -> UnownedJob? {
        flushQueue()
        guard queue.isEmpty else { return nil }
        if returningJob { return writeWaiter.endReturningJob(on: loop) }
        writeWaiter.end(on: loop)
        return nil
    }

    package var awaitsFlush: Bool {
        !queue.isEmpty || state.isWriterPaused || state.isEnding || !writeWaiter.isEmpty
    }

    /// Updates the state after the driver has sent some of its buffered bytes.
    package func flushed() { perform(state.flushed(queuedBytes: outstandingBytes)) }

    /// Ends the connection because of a filter, whose last bytes may be on their way: an alert, for instance.
    package func ended(with error: any Error) {
        end(with: error, losing: queue.count + unsentBytesOfWrite)
    }

    package var connection: ConnectionReport {
        let peer = peerAddress?.description ?? "an unknown peer"
        let label =
            isOfSocket
            ? "a connection with \(peer)" : "the transport of descriptor \(driver.channel.descriptor.rawValue)"
        return ConnectionReport(label: label, origin: origin, isLeftOpen: !state.isClosing)
    }
}
