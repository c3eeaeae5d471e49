import AsyncIO
import AsyncIOSystem
import SystemPackage

/// The connections and servers of a scenario, by name.
struct ScenarioNetwork {
    var transports: [String: StreamTransport] = [:]
    var datagramTransports: [String: DatagramTransport] = [:]
    var servers: [String: Server] = [:]
    /// Of servers and endpoints, also after they were closed.
    var addresses: [String: SocketAddress] = [:]
    var acceptedCounts: [String: Int] = [:]
    /// The connections that were made and not lost.
    var open: Set<String> = []
    var lastReceived: [String: [UInt8]] = [:]
    /// Of the paths of unix sockets.
    var directory: SocketDirectory?
    /// Of datagrams.
    var lastSenders: [String: SocketAddress] = [:]
    var streams: [String: (reader: StreamReader, writer: StreamWriter)] = [:]
}

extension ScenarioRunner {
    private func makeProtocol(_ id: String, _ handlers: Scenario.Handlers?) -> ScenarioProtocol {
        let handlers = handlers ?? .empty
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

    /// Where a server listens: at a path, or on a TCP port of this machine.
    func local(_ step: Scenario.Operation) throws -> Endpoint {
        guard let path = step.path else { return .host("127.0.0.1", port: 0) }
        return .unix(try directory().file(path))
    }

    private func directory() throws -> SocketDirectory {
        if let directory = network.directory { return directory }
        let directory = try SocketDirectory()
        network.directory = directory
        return directory
    }

    /// An end, a server, or a path.
    func target(_ step: Scenario.Operation) throws -> Endpoint {
        let name = step.to ?? ""
        if let end = takeEnd(name) { return .socket(end) }
        if name.hasPrefix("/") { return .unix(try directory().file(String(name.dropFirst()))) }
        guard let address = network.addresses[name] else { throw ScenarioMistake(text: "nothing is called \(name)") }
        return .address(address)
    }

    private func pipeEnd(_ step: Scenario.Operation) throws -> FileDescriptor {
        guard let end = takeEnd(step.end ?? "") else { throw ScenarioMistake(text: "no end for \(step)") }
        return end.descriptor
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
        case "connectReadPipe":
            _ = try await loop.connectReadPipe(pipeEnd(step)) { makeProtocol(id, step.protocol) }
            return "connected \(id)"
        case "connectWritePipe":
            _ = try await loop.connectWritePipe(pipeEnd(step)) { makeProtocol(id, step.protocol) }
            return "connected \(id)"
        case "createServer":
            var options = ServerOptions()
            options.startsServing = step.starts ?? true
            let server = try await loop.createServer(on: local(step), options: options) { [unowned self] in
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
        // It may not have been created.
        case "closeServer": network.servers[id]?.close()
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
