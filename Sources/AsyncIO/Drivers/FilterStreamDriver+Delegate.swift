import AsyncIOSystem
package import SystemPackage

extension FilterStreamDriver: StreamDriverDelegate {
    package func becameReadable() -> UnownedJob? {
        if establishment != nil { establish() }
        guard phase == .open, isEstablished else { return nil }
        if isPushing {
            push()
            return nil
        }
        return heldDelegate.becameReadable()
    }

    package func becameWritable(returningJob: Bool) -> UnownedJob? {
        flush()
        guard phase == .open else { return nil }
        guard output.isEmpty, isEstablished else {
            // A transport that is closing waits until everything is sent.
            delegate?.flushed()
            return nil
        }
        unlinkIfIdle()
        if phase == .closed { return base.delegate?.becameWritable(returningJob: returningJob) }
        return heldDelegate.becameWritable(returningJob: returningJob)
    }

    package func received(_ bytes: UnsafeRawBufferPointer) -> Int {
        input.append(bytes)
        return bytes.count
    }

    package func lend(_ receive: (UnsafeMutableRawBufferPointer) -> Int) -> Bool { false }

    package func receivedEOF() { isBaseAtEOF = true }

    package func flushed() {
        flush()
        if phase == .open { delegate?.flushed() }
    }

    package var awaitsFlush: Bool {
        phase != .open || shutsDown || hasMoreToSend || !output.isEmpty || establishment != nil
            || delegate?.awaitsFlush ?? false
    }

    package func failed(_ error: Errno, operation: String) {
        if phase >= .closing { return closeBase() }
        if establishment != nil {
            return fail(IOError(error, operation: operation, address: channel.peerAddress))
        }
        delegate?.failed(error, operation: operation)
    }

    package func readerLeft() { failed(.brokenPipe, operation: "send to") }

    package func ended(with error: any Error) { fail(error) }

    package func replaceDriver(by driver: StreamDriver) {
        base = driver
        driver.delegate = self
    }

    package var connection: ConnectionReport {
        delegate?.connection
            ?? ConnectionReport(
                label: "a connection that is being established with \(channel.peerAddress?.description ?? "a peer")",
                origin: nil, isLeftOpen: false)
    }
}
