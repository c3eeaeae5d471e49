import AsyncIO

/// Forwards datagrams: each client gets an endpoint of its own, which is connected to the target, so that the answers
/// find their way back.
///
/// - Thread: the loop's.
final class DatagramForwarder: DatagramProtocol {
    /// How long a client may be silent before its endpoint is closed.
    fileprivate static let idleTime = Duration.seconds(60)
    /// Every client costs a descriptor, and anybody can send datagrams with any address.
    private static let mostClients = 1_000

    fileprivate let target: EndpointArgument
    fileprivate let totals: Totals
    fileprivate let report: ErrorReport
    private let ended: Future<Void>
    private var clients: [SocketAddress: Client] = [:]
    private var transport: DatagramTransport?
    private var isWritingPaused = false
    private var expiry: RepeatingTimer?

    init(to target: EndpointArgument, _ totals: Totals, _ report: ErrorReport, ended: Future<Void>) {
        self.target = target
        self.totals = totals
        self.report = report
        self.ended = ended
    }

    func connectionMade(_ transport: DatagramTransport) {
        self.transport = transport
        expiry = transport.loop.callRepeatedly(every: Self.idleTime / 4) { [unowned self] _ in
            for client in clients.values where client.isIdle { client.end() }
        }
    }

    func datagramReceived(_ data: RawSpan, from address: SocketAddress?) throws {
        guard let address, let loop = transport?.loop else { return }
        if let client = clients[address] { return try client.forward(data) }
        guard clients.count < Self.mostClients else {
            return report.add("more than \(Self.mostClients) clients: datagrams of others are dropped")
        }
        let client = Client(address, self, loop)
        clients[address] = client
        try client.forward(data)
        client.open()
    }

    fileprivate func answer(_ data: RawSpan, to client: SocketAddress) throws {
        if isWritingPaused { return }
        try transport?.send(data, to: client)
    }

    fileprivate func remove(_ client: Client) { clients[client.address] = nil }

    func pauseWriting() { isWritingPaused = true }
    func resumeWriting() { isWritingPaused = false }
    func errorReceived(_ error: IOError) { report.add("\(error)") }

    func connectionLost(_ error: (any Error)?) {
        transport = nil
        expiry?.cancel()
        for client in clients.values { client.end() }
        if let error { try? ended.setException(error) } else { try? ended.setResult(()) }
    }
}

/// A client of the forwarder, and its endpoint for the target.
private final class Client: DatagramProtocol {
    /// The most datagrams that are stored until the endpoint is open, which takes long if a name server is slow.
    private static let mostEarlyDatagrams = 16

    let address: SocketAddress
    private let forwarder: DatagramForwarder
    private let loop: EventLoop
    private var transport: DatagramTransport?
    private var opening: Task<Void, Never>?
    private var early: [[UInt8]] = []
    private var lastUse: LoopInstant
    private var isWritingPaused = false

    init(_ address: SocketAddress, _ forwarder: DatagramForwarder, _ loop: EventLoop) {
        self.address = address
        self.forwarder = forwarder
        self.loop = loop
        lastUse = loop.now
    }

    var isIdle: Bool { lastUse.duration(to: loop.now) > DatagramForwarder.idleTime }

    func open() {
        opening = loop.createTask(name: "datagrams of \(address)") { [self] in
            do {
                _ = try await loop.createDatagramEndpoint(remote: forwarder.target.endpoint) { self }
            } catch is CancellationError {
            } catch {
                forwarder.report.add("\(error)")
                forwarder.remove(self)
            }
        }
    }

    func end() {
        forwarder.remove(self)
        opening?.cancel()
        transport?.abort()
    }

    /// To the target.
    func forward(_ data: RawSpan) throws {
        lastUse = loop.now
        guard let transport else {
            if early.count < Self.mostEarlyDatagrams { early.append([UInt8](data)) }
            return
        }
        count(data.byteCount)
        if !isWritingPaused { try transport.send(data) }
    }

    func connectionMade(_ transport: DatagramTransport) throws {
        self.transport = transport
        opening = nil
        for bytes in early { try forward(bytes.span.bytes) }
        early = []
    }

    /// From the target.
    func datagramReceived(_ data: RawSpan, from _: SocketAddress?) throws {
        lastUse = loop.now
        count(data.byteCount)
        try forwarder.answer(data, to: address)
    }

    private func count(_ byteCount: Int) {
        forwarder.totals.datagrams += 1
        forwarder.totals.bytes += byteCount
    }

    func pauseWriting() { isWritingPaused = true }
    func resumeWriting() { isWritingPaused = false }
    func errorReceived(_ error: IOError) { forwarder.report.add("\(error)") }

    func connectionLost(_ error: (any Error)?) {
        transport = nil
        forwarder.remove(self)
    }
}
