import AsyncIO
import SystemPackage

/// A protocol that writes down what it is told, and answers as the test says.
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
    /// What `eofReceived` answers.
    var staysOpen = false
    /// The method that throws.
    var failing: Method?
    /// Called after an event was written down; until the connection is lost.
    var reaction: ((Event, StreamTransport) -> Void)?

    /// The events without the pieces that the data came in.
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
        // Much data is not text.
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
