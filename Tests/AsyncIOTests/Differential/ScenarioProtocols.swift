import AsyncIO

/// A protocol that prints each call, and then does what the scenario says.
class ScenarioProtocol: StreamProtocol {
    private unowned let runner: ScenarioRunner
    private let id: String
    private let name: String
    private let handlers: Scenario.Handlers

    init(_ runner: ScenarioRunner, _ id: String, _ handlers: Scenario.Handlers) {
        (self.runner, self.id) = (runner, id)
        self.handlers = handlers.naming(id)
        name = handlers.name ?? id
    }

    private func call(_ text: String, _ operations: [Scenario.Operation]?) throws {
        runner.line("\(name) \(text)", of: id)
        try runner.perform(operations ?? [])
    }

    func connectionMade(_ transport: StreamTransport) throws {
        runner.network.transports[id] = transport
        runner.network.open.insert(id)
        try call("made", handlers.made)
    }

    func dataReceived(_ data: RawSpan) throws {
        try received(data.withUnsafeBytes { [UInt8]($0) })
    }

    fileprivate func received(_ bytes: [UInt8]) throws {
        runner.network.lastReceived[id] = bytes
        if handlers.quiet != true { runner.line("\(name) received", of: id, bytes: bytes) }
        try runner.perform(handlers.data ?? [])
    }

    func eofReceived() throws -> Bool {
        try call("eof", handlers.eof)
        return handlers.staysOpen ?? false
    }

    func connectionLost(_ error: (any Error)?) throws {
        runner.network.open.remove(id)
        try call(error.map { "lost: \(runner.reason($0) ?? "\($0)")" } ?? "lost", handlers.lost)
    }

    func pauseWriting() throws { try call("paused", handlers.paused) }

    func resumeWriting() throws { try call("resumed", handlers.resumed) }
}

/// Lends a buffer of the size that the scenario says.
final class BufferedScenarioProtocol: ScenarioProtocol, BufferedStreamProtocol {
    private var memory: [UInt8]

    init(_ runner: ScenarioRunner, _ id: String, _ handlers: Scenario.Handlers, bufferBytes: Int) {
        memory = [UInt8](repeating: 0, count: bufferBytes)
        super.init(runner, id, handlers)
    }

    func withReadBuffer(sizeHintBytes: Int, _ receive: (UnsafeMutableRawBufferPointer) -> Void) {
        memory.withUnsafeMutableBytes(receive)
    }

    func bufferUpdated(byteCount: Int) throws { try received([UInt8](memory[..<byteCount])) }
}
