import AsyncIO

/// Echoes in the push style.
final class EchoProtocol: StreamProtocol {
    private let totals: Totals
    private var transport: StreamTransport?

    init(_ totals: Totals) {
        self.totals = totals
    }

    func connectionMade(_ transport: StreamTransport) {
        self.transport = transport
        totals.connectionBegan()
    }

    func dataReceived(_ data: RawSpan) {
        totals.bytes += data.byteCount
        transport?.write(data)
    }

    // A client that does not read its answers is not read from either, so that the queue stays short.
    func pauseWriting() {
        transport?.pauseReading()
    }

    func resumeWriting() {
        transport?.resumeReading()
    }

    func connectionLost(_ error: (any Error)?) throws {
        if transport != nil { totals.connectionEnded() }
        transport = nil
        // The loop's exception handler decides what is worth a line.
        if let error { throw error }
    }
}
