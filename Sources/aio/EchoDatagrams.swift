import AsyncIO

/// Echoes datagrams in the push style.
final class EchoDatagramProtocol: DatagramProtocol {
    private let totals: Totals
    private let report: ErrorReport
    private let ended: Future<Void>
    private var transport: DatagramTransport?
    private var isWritingPaused = false

    init(_ totals: Totals, _ report: ErrorReport, ended: Future<Void>) {
        self.totals = totals
        self.report = report
        self.ended = ended
    }

    func connectionMade(_ transport: DatagramTransport) {
        self.transport = transport
    }

    func datagramReceived(_ data: RawSpan, from address: SocketAddress?) throws {
        totals.datagrams += 1
        totals.bytes += data.byteCount
        // A network that is full loses datagrams, and so does this server, instead of storing them.
        if isWritingPaused { return }
        try transport?.send(data, to: address)
    }

    func pauseWriting() { isWritingPaused = true }
    func resumeWriting() { isWritingPaused = false }
    func errorReceived(_ error: IOError) { report.add("\(error)") }

    func connectionLost(_ error: (any Error)?) {
        transport = nil
        if let error { try? ended.setException(error) } else { try? ended.setResult(()) }
    }
}

/// Echoes datagrams in the pull style, until the endpoint is closed.
func echo(_ endpoint: DatagramEndpoint, _ totals: Totals, _ report: ErrorReport) async throws {
    // As large as the largest datagram.
    var buffer = [UInt8](repeating: 0, count: 65_535)
    while true {
        do {
            guard let (byteCount, address) = try await endpoint.receive(into: &buffer) else { return }
            totals.datagrams += 1
            totals.bytes += byteCount
            try await endpoint.send(buffer.span.extracting(..<byteCount).bytes, to: address)
        } catch let error as IOError {
            // It would be thrown again and again.
            if endpoint.isClosing { throw error }
            report.add("\(error)")
        }
    }
}

/// An endpoint for datagrams that a command runs.
struct DatagramService: Service {
    let transport: DatagramTransport
    let ended: Future<Void>

    var addresses: [SocketAddress] { [transport.localAddress].compactMap(\.self) }

    func waitClosed() async throws { try await ended.value }

    func end() { transport.abort() }
}

/// The same in the pull style.
struct DatagramEndpointService: Service {
    let endpoint: DatagramEndpoint
    let task: Task<Void, any Error>

    var addresses: [SocketAddress] { [endpoint.localAddress].compactMap(\.self) }

    func waitClosed() async throws { try await task.value }

    func end() { endpoint.abort() }
}
