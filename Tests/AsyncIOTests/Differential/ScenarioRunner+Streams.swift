import AsyncIO

extension ScenarioRunner {
    private func add(_ id: String, _ streams: (StreamReader, StreamWriter)) {
        network.streams[id] = streams
        network.transports[id] = streams.1.transport
    }

    func reader(_ operation: Scenario.Operation) throws -> StreamReader {
        guard let streams = network.streams[operation.id ?? ""] else {
            throw ScenarioMistake(text: "no stream for \(operation)")
        }
        return streams.reader
    }

    func takeOnStream(_ step: Scenario.Operation) async throws -> String? {
        let id = step.id ?? ""
        switch step.op {
        case "openConnection":
            var options = ConnectionOptions()
            if let limit = step.limit { options.limitBytes = limit }
            add(id, try await loop.openConnection(to: target(step), options: options))
            return "opened \(id)"
        case "startServer":
            var options = ServerOptions()
            if let limit = step.limit { options.limitBytes = limit }
            let server = try await loop.startServer(on: local(step), options: options) {
                [unowned self] reader, writer in
                let name = nameAccepted(by: id)
                add(name, (reader, writer))
                await takeSteps((step.do ?? []).naming(name), of: name)
            }
            added(server, id)
            return "started \(id)"
        default: break
        }
        guard let streams = network.streams[id] else { return nil }
        if let said = try await read(step, streams.reader) { return said }
        return try await write(step, streams.writer)
    }

    private func read(_ step: Scenario.Operation, _ reader: StreamReader) async throws -> String? {
        let bytes: [UInt8]
        switch step.op {
        case "readLine": bytes = try await reader.readLine(strippingNewline: false).map { Array($0.utf8) } ?? []
        case "readUntil": bytes = try await reader.readUntil(step.text ?? "")
        case "readExactly": bytes = try await reader.readExactly(step.count ?? 0)
        case "readSome": bytes = try await reader.read(maxBytes: step.max ?? 0)
        case "readAll": bytes = try await reader.readAll(limitBytes: .max)
        default: return nil
        }
        return "read \(ScenarioTrace.show(bytes[...]))"
    }

    private func write(_ step: Scenario.Operation, _ writer: StreamWriter) async throws -> String? {
        switch step.op {
        case "writeStream":
            try await writer.write(String(repeating: step.text ?? "", count: step.times ?? 1))
            return "wrote"
        case "drainStream":
            try await writer.drain()
            return "drained"
        case "streamClosed":
            try await writer.waitClosed()
            return "saw the end of \(step.id ?? "")"
        default: return nil
        }
    }
}
