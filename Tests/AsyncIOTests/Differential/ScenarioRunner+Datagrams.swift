import AsyncIO
import AsyncIOSystem

/// A datagram protocol that prints each call, and then does what the scenario says.
final class ScenarioDatagramProtocol: DatagramProtocol {
    private unowned let runner: ScenarioRunner
    private let id: String
    private let handlers: Scenario.Handlers

    init(_ runner: ScenarioRunner, _ id: String, _ handlers: Scenario.Handlers) {
        (self.runner, self.id) = (runner, id)
        self.handlers = handlers.naming(id)
    }

    private func call(_ text: String, _ operations: [Scenario.Operation]?) throws {
        runner.line("\(id) \(text)", of: id)
        try runner.perform(operations ?? [])
    }

    func connectionMade(_ transport: DatagramTransport) throws {
        runner.network.datagramTransports[id] = transport
        runner.network.addresses[id] = transport.localAddress
        runner.network.open.insert(id)
        try call("made", handlers.made)
    }

    func datagramReceived(_ data: RawSpan, from address: SocketAddress?) throws {
        let bytes = data.withUnsafeBytes { [UInt8]($0) }
        runner.network.lastReceived[id] = bytes
        runner.network.lastSenders[id] = address
        let sender = runner.network.addresses.first { $0.value == address }?.key ?? "somebody"
        let received = bytes.isEmpty ? "nothing" : ScenarioTrace.show(bytes[...])
        try call("received \(received) from \(sender)", handlers.data)
    }

    func errorReceived(_ error: IOError) throws {
        try call("error: \(runner.reason(error) ?? "\(error)")", handlers.error)
    }

    func connectionLost(_ error: (any Error)?) throws {
        runner.network.open.remove(id)
        try call(error.map { "lost: \(runner.reason($0) ?? "\($0)")" } ?? "lost", handlers.lost)
    }

    func pauseWriting() throws { try call("paused", handlers.paused) }

    func resumeWriting() throws { try call("resumed", handlers.resumed) }
}

extension ScenarioRunner {
    func takeOnDatagrams(_ step: Scenario.Operation) async throws -> String? {
        guard step.op == "createDatagramEndpoint" else { return nil }
        let id = step.id ?? ""
        _ = try await loop.createDatagramEndpoint(
            local: .host("127.0.0.1", port: 0), remote: step.to.map { Endpoint.address(try address(of: $0)) }
        ) { ScenarioDatagramProtocol(self, id, step.protocol ?? .empty) }
        return "created \(id)"
    }

    private func address(of name: String) throws -> SocketAddress {
        guard let address = network.addresses[name] else { throw ScenarioMistake(text: "nothing is called \(name)") }
        return address
    }

    /// Returns false if it is another kind of operation.
    func performOnDatagrams(_ operation: Scenario.Operation) throws -> Bool {
        let id = operation.id ?? ""
        guard let transport = network.datagramTransports[id] else { return false }
        do {
            switch operation.op {
            case "sendDatagram":
                let text = String(repeating: operation.text ?? "", count: operation.times ?? 1)
                try transport.send(text, to: operation.to.map { try address(of: $0) })
            case "echoDatagram":
                try transport.send(network.lastReceived[id] ?? [], to: network.lastSenders[id])
            case "closeTransport": transport.close()
            case "abort": transport.abort()
            default: return false
            }
        } catch let error as EventLoopError {
            line("\(id) \(reason(error) ?? "\(error)")", of: id)
        }
        return true
    }
}
