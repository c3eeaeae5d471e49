package import AsyncIOSystem
package import CAsyncIO
package import SystemPackage

/// Receives from one descriptor and sends to another: the two standard streams of a program as one connection. The
/// drivers of both report to this one, which reports to the transport.
package final class DuplexStreamDriver: StreamDriver {
    // SAFETY: as in `ReadinessStreamDriver`.
    private unowned(unsafe) let loop: EventLoop
    private let input: StreamDriver
    private let output: StreamDriver

    package init(input: StreamDriver, output: StreamDriver, on loop: EventLoop) {
        self.loop = loop
        self.input = input
        self.output = output
        super.init(output.channel)
        // `lend(_:)` finds out whether the consumer does.
        input.lendsMemory = true
        input.delegate = self
        output.delegate = self
    }

    // MARK: Moving bytes

    package override func startReading() {
        isPushing = true
        input.startReading()
    }

    package override func stopReading() {
        super.stopReading()
        input.stopReading()
    }

    package override func receive(into buffer: UnsafeMutableRawBufferPointer) -> IOResult {
        input.receive(into: buffer)
    }

    package override func grantsSend(of count: Int) -> Bool { output.grantsSend(of: count) }

    package override func send(_ bytes: UnsafeRawBufferPointer) -> IOResult { output.send(bytes) }

    package override func send(_ pieces: UnsafeBufferPointer<iovec>) -> IOResult { output.send(pieces) }

    package override var unsentBytes: Int { output.unsentBytes }

    /// A pipe has no other way to say that nothing follows.
    package override func shutdownWrite(on loop: EventLoop) -> Errno? {
        output.close()
        return nil
    }

    // MARK: Ending

    package override func detach() {
        if phase != .open { return }
        phase = .detached
        input.detach()
        output.detach()
    }

    package override func close() {
        if phase >= .closing { return }
        detach()
        input.close()
        output.close()
        closeChannel(on: loop, isClosed: true)
        detachDelegate(on: loop)
    }

    /// The driver of the input is registered until this one is closed.
    package override var rootID: SlotID? { input.rootID }
}

extension DuplexStreamDriver: StreamDriverDelegate {
    package func becameReadable() -> UnownedJob? { heldDelegate.becameReadable() }

    package func becameWritable(returningJob: Bool) -> UnownedJob? {
        heldDelegate.becameWritable(returningJob: returningJob)
    }

    package func received(_ bytes: UnsafeRawBufferPointer) -> Int { heldDelegate.received(bytes) }

    package func lend(_ receive: (UnsafeMutableRawBufferPointer) -> Int) -> Bool {
        delegate?.lend(receive) ?? false
    }

    package func receivedEOF() { delegate?.receivedEOF() }

    package func flushed() { delegate?.flushed() }

    package var awaitsFlush: Bool { heldDelegate.awaitsFlush }

    package func failed(_ error: Errno, operation: String) { delegate?.failed(error, operation: operation) }

    package func readerLeft() { delegate?.readerLeft() }

    package func ended(with error: any Error) { delegate?.ended(with: error) }

    /// No filter is below.
    package func replaceDriver(by driver: StreamDriver) {}

    package var connection: ConnectionReport {
        delegate?.connection ?? ConnectionReport(label: "a connection that has ended", origin: nil, isLeftOpen: false)
    }
}
