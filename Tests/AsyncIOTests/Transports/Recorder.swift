import AsyncIO
import SystemPackage

/// A protocol that records its events, and whose reactions the test defines.
final class Recorder: StreamProtocol {
    enum Event: Equatable {
        case made
        case data(String)
        case end
        case paused
        case resumed
        case lost(Loss?)
    }

    enum Loss: Equatable {
        case io(Errno)
        case example
        case other(String)
    }

    enum Method: String, CaseIterable {
        case connectionMade, dataReceived, eofReceived, pauseWriting, resumeWriting, connectionLost
    }

    struct ExampleError: Error {}

    private(set) var events: [Event] = []
    private(set) var transport: StreamTransport?
    /// All data so far.
    private(set) var received: [UInt8] = []
    /// The result of `eofReceived`.
    var staysOpen = false
    /// The method that throws.
    var failing: Method?
    /// Called after an event was recorded, until the connection is lost.
    var reaction: ((Event, StreamTransport) -> Void)?

    /// The events, with adjacent pieces of data joined.
    var eventsWithoutData: [Event] {
        events.filter { if case .data = $0 { false } else { true } }
    }

    func connectionMade(_ transport: StreamTransport) throws {
        self.transport = transport
        try record(.made, .connectionMade)
    }

    func dataReceived(_ data: RawSpan) throws {
        let bytes = data.withUnsafeBytes { [UInt8]($0) }
        received += bytes
        // Large data is not text.
        let text = bytes.count <= 100 ? String(decoding: bytes, as: UTF8.self) : "\(bytes.count) bytes"
        try record(.data(text), .dataReceived)
    }

    func eofReceived() throws -> Bool {
        try record(.end, .eofReceived)
        return staysOpen
    }

    func pauseWriting() throws {
        try record(.paused, .pauseWriting)
    }

    func resumeWriting() throws {
        try record(.resumed, .resumeWriting)
    }

    func connectionLost(_ error: (any Error)?) throws {
        let loss = error.map { error -> Loss in
            switch error {
            case let error as IOError: .io(error.errno)
            case is ExampleError: .example
            default: .other("\(error)")
            }
        }
        defer {
            transport = nil
            reaction = nil
        }
        try record(.lost(loss), .connectionLost)
    }

    private func record(_ event: Event, _ method: Method) throws {
        events.append(event)
        if let transport { reaction?(event, transport) }
        if failing == method { throw ExampleError() }
    }
}
