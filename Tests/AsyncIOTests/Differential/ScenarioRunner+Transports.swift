import AsyncIO
import AsyncIOSystem
import Testing

/// The connections and servers of a scenario, by name.
struct ScenarioNetwork {
    var transports: [String: StreamTransport] = [:]
    var servers: [String: Server] = [:]
    /// Of servers, also after they were closed.
    var addresses: [String: SocketAddress] = [:]
    var acceptedCounts: [String: Int] = [:]
    /// The connections that were made and not lost.
    var open: Set<String> = []
    var lastReceived: [String: [UInt8]] = [:]
    var streams: [String: (reader: StreamReader, writer: StreamWriter)] = [:]
}

extension ScenarioRunner {
    private func makeProtocol(_ id: String, _ handlers: Scenario.Handlers?) -> ScenarioProtocol {
        let handlers = handlers ?? .none
        guard let bufferBytes = handlers.buffer else { return ScenarioProtocol(self, id, handlers) }
        return BufferedScenarioProtocol(self, id, handlers, bufferBytes: bufferBytes)
    }

    func nameAccepted(by server: String) -> String {
        network.acceptedCounts[server, default: 0] += 1
        return "\(server)\(network.acceptedCounts[server] ?? 0)"
    }

    func added(_ server: Server, _ id: String) {
        network.servers[id] = server
        network.addresses[id] = server.localAddresses.first
    }

    /// An end, or a server.
    func target(_ step: Scenario.Operation) throws -> Endpoint {
        let name = step.to ?? ""
        if let end = takeEnd(name) { return .socket(end) }
        guard let address = network.addresses[name] else { throw ScenarioMistake(text: "nothing is called \(name)") }
        return .address(address)
    }

    private func server(_ operation: Scenario.Operation) throws -> Server {
        guard let server = network.servers[operation.id ?? ""] else {
            throw ScenarioMistake(text: "no server for \(operation)")
        }
        return server
    }

    func takeOnNetwork(_ step: Scenario.Operation) async throws -> String? {
        let id = step.id ?? ""
        switch step.op {
        case "connect":
            _ = try await loop.createConnection(to: target(step)) { makeProtocol(id, step.protocol) }
            return "connected \(id)"
        case "createServer":
            var options = ServerOptions()
            options.startsServing = step.starts ?? true
            let server = try await loop.createServer(host: "127.0.0.1", port: 0, options: options) { [unowned self] in
                makeProtocol(nameAccepted(by: id), step.protocol)
            }
            added(server, id)
            return "created \(id)"
        case "startServing":
            try server(step).startServing()
            return "started \(id)"
        case "serverClosed":
            try await server(step).waitClosed()
            return "saw the end of \(id)"
        default: return nil
        }
    }

    /// Returns false if it is another kind of operation.
    func performOnTransport(_ operation: Scenario.Operation) throws -> Bool {
        let id = operation.id ?? ""
        switch operation.op {
        case "closeServer": try server(operation).close()
        case "showServer": line("\(id) \(try server(operation).isServing ? "serving" : "not serving")", of: id)
        case "showEOF": line("\(id) \(try reader(operation).isAtEOF ? "at EOF" : "not at EOF")", of: id)
        default:
            guard let transport = network.transports[id] else { return false }
            return try perform(operation, on: transport)
        }
        return true
    }

    private func perform(_ operation: Scenario.Operation, on transport: StreamTransport) throws -> Bool {
        let id = operation.id ?? ""
        switch operation.op {
        case "send": transport.write(String(repeating: operation.text ?? "", count: operation.times ?? 1))
        case "sendPieces": transport.write(contentsOf: (operation.pieces ?? []).map { Array($0.utf8) })
        case "echo": transport.write(network.lastReceived[id] ?? [])
        case "sendEOF": transport.writeEOF()
        case "closeTransport": transport.close()
        case "abort": transport.abort()
        case "pauseReading": transport.pauseReading()
        case "resumeReading": transport.resumeReading()
        case "setLimits":
            do {
                try transport.setWriteBufferLimits(lowBytes: operation.low, highBytes: operation.high)
            } catch {
                line("\(id) refused", of: id)
            }
        case "showLimits":
            let limits = transport.writeBufferLimits
            line("\(id) limits \(limits.lowBytes), \(limits.highBytes)", of: id)
        case "setProtocol": transport.protocol = makeProtocol(id, operation.protocol)
        case "show":
            let closing = transport.isClosing ? "closing" : "open"
            let reading = transport.isReading ? "reading" : "not reading"
            let buffer = transport.writeBufferBytes > 0 ? "bytes buffered" : "nothing buffered"
            line("\(id) \(closing), \(reading), \(buffer)", of: id)
        default: return false
        }
        return true
    }
}
