import AsyncIO
import SystemPackage

/// A protocol that records its events, and whose reactions the test defines.
final class DatagramRecorder: DatagramProtocol {
    enum Event: Equatable {
        case made
        case datagram(String)
        case error(Errno)
        case paused
        case resumed
        case lost(Errno?)
    }

    struct ExampleError: Error {}

    private(set) var events: [Event] = []
    private(set) var transport: DatagramTransport?
    /// All datagrams so far, with their senders.
    private(set) var datagrams: [Datagram] = []
    private(set) var errors: [IOError] = []
    /// Whether each method throws after it has recorded its event.
    var isFailing = false
    /// Called after an event was recorded, until the endpoint has ended.
    var reaction: ((Event, DatagramTransport) -> Void)?

    var texts: [String] { datagrams.map { String(decoding: $0.bytes, as: UTF8.self) } }

    var hasEnded: Bool { if case .lost = events.last { true } else { false } }

    /// The events that are not datagrams.
    var otherEvents: [Event] { events.filter { if case .datagram = $0 { false } else { true } } }

    func connectionMade(_ transport: DatagramTransport) throws {
        self.transport = transport
        try record(.made)
    }

    func datagramReceived(_ data: RawSpan, from address: SocketAddress?) throws {
        let bytes = data.withUnsafeBytes { [UInt8]($0) }
        datagrams.append(Datagram(bytes: bytes, address: address))
        // Large data is not text.
        let text = bytes.count <= 100 ? String(decoding: bytes, as: UTF8.self) : "\(bytes.count) bytes"
        try record(.datagram(text))
    }

    func errorReceived(_ error: IOError) throws {
        errors.append(error)
        try record(.error(error.errno))
    }

    func pauseWriting() throws { try record(.paused) }

    func resumeWriting() throws { try record(.resumed) }

    func connectionLost(_ error: (any Error)?) throws {
        defer {
            transport = nil
            reaction = nil
        }
        try record(.lost((error as? IOError)?.errno))
    }

    private func record(_ event: Event) throws {
        events.append(event)
        if let transport { reaction?(event, transport) }
        if isFailing { throw ExampleError() }
    }
}

/// Sends back what it receives.
final class DatagramEcho: DatagramProtocol {
    private var transport: DatagramTransport?

    func connectionMade(_ transport: DatagramTransport) { self.transport = transport }
    func datagramReceived(_ data: RawSpan, from address: SocketAddress?) throws {
        try transport?.send(data, to: address)
    }
    func connectionLost(_ error: (any Error)?) { transport = nil }
}

/// An address where no other test receives datagrams.
func unusedDatagramAddress() -> SocketAddress {
    let host = "127.\(93 + .random(in: 0..<100)).\(UInt8.random(in: 1...254)).\(UInt8.random(in: 1...254))"
    return SocketAddress(literal: host, port: 20_009)!
}

extension EventLoop {
    /// Creates a recording endpoint on a loopback address.
    func recordDatagrams(
        on host: String = "127.0.0.1", to remote: SocketAddress? = nil, options: DatagramOptions = DatagramOptions()
    ) async throws -> (transport: DatagramTransport, recorder: DatagramRecorder) {
        let made = try await createDatagramEndpoint(
            local: .host(host, port: 0), remote: remote.map { .address($0) }, options: options
        ) { DatagramRecorder() }
        return (made.transport, made.protocol)
    }

    /// Closes endpoints and waits until they have ended.
    func end(_ endpoints: (transport: DatagramTransport, recorder: DatagramRecorder)...) async {
        for endpoint in endpoints { endpoint.transport.close() }
        await until { endpoints.allSatisfy { $0.recorder.hasEnded } }
    }
}

extension Socket {
    /// Creates a datagram socket that is bound to a loopback address or a path.
    static func boundDatagram(_ address: SocketAddress = SocketAddress(literal: "127.0.0.1", port: 0)!) throws -> Socket
    {
        let socket = try Socket.datagram(address.family)
        try socket.bind(to: address)
        return socket
    }

    /// Returns the datagrams that have arrived.
    func arrivedDatagrams() -> [String] {
        var buffer = [UInt8](repeating: 0, count: 256 * 1024)
        var texts: [String] = []
        while case (.bytes(let count), _) = buffer.withUnsafeMutableBytes({ receiveFrom(into: $0) }) {
            texts.append(String(decoding: buffer[..<count], as: UTF8.self))
        }
        return texts
    }

    func sendDatagram(_ text: String, to address: SocketAddress) -> IOResult {
        Array(text.utf8).withUnsafeBytes { sendTo($0, to: address) }
    }
}
