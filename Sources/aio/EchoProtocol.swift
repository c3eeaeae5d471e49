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

    // Back-pressure: while a client does not read its echoes, the server does not read from it.
    func pauseWriting() {
        transport?.pauseReading()
    }

    func resumeWriting() {
        transport?.resumeReading()
    }

    // An error is how the network ended this connection; it is no failure of the server.
    func connectionLost(_ error: (any Error)?) {
        if transport != nil { totals.connectionEnded() }
        transport = nil
    }
}
