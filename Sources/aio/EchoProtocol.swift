import AsyncIO

/// Echoes in the push style.
final class EchoProtocol: StreamProtocol {
    private let totals: Totals
    private let report: ErrorReport
    private var transport: StreamTransport?

    init(_ totals: Totals, _ report: ErrorReport) {
        self.totals = totals
        self.report = report
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

    // Most errors are how the client or the network ended this connection, and no failure of the server.
    func connectionLost(_ error: (any Error)?) {
        if let error, !error.isConnectionClosed { report.add("\(error)") }
        if transport != nil { totals.connectionEnded() }
        transport = nil
    }
}
