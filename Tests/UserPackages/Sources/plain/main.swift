import AsyncIO

// A server in both styles and its clients, with protocol classes and captured objects that are not Sendable.
final class Shout: StreamProtocol {
    var transport: StreamTransport?
    let totals: Totals

    init(_ totals: Totals) {
        self.totals = totals
    }

    func connectionMade(_ transport: StreamTransport) {
        self.transport = transport
    }

    func dataReceived(_ data: RawSpan) {
        totals.bytes += data.byteCount
        transport?.write(data)
        transport?.loop.callSoon { self.totals.callbacks += 1 }
    }

    func connectionLost(_ error: (any Error)?) {
        transport = nil
    }
}

final class Totals {
    var bytes = 0
    var callbacks = 0
    var lines = 0
}

func exchange(_ port: UInt16) async throws -> String? {
    let (reader, writer) = try await getRunningLoop().openConnection(host: "127.0.0.1", port: port)
    try await writer.write("hello\n")
    let line = try await withTimeout(.seconds(5)) { try await reader.readLine() }
    writer.close()
    return line
}

let lines = try run {
    let loop = try getRunningLoop()
    let totals = Totals()
    let pushing = try await loop.createServer(host: "127.0.0.1", port: 0) { Shout(totals) }
    let pulling = try await loop.startServer(host: "127.0.0.1", port: 0) { reader, writer in
        while let line = try await reader.readLine() {
            totals.lines += 1
            try await writer.write(line + "\n")
        }
    }
    let ports = [pushing, pulling].compactMap { $0.localAddresses.first?.port }
    let answers = try await withThrowingTaskGroup(of: String?.self) { group in
        for port in ports { group.addTask { try await exchange(port) } }
        return try await group.reduce(into: [String]()) { if let line = $1 { $0.append(line) } }
    }
    let task = loop.createTask { totals.bytes + totals.callbacks + totals.lines }
    let sum = await task.value
    for server in [pushing, pulling] {
        server.close()
        try await server.waitClosed()
    }
    return answers + ["\(sum)"]
}
precondition(lines == ["hello", "hello", "8"], "\(lines)")
print("ok: plain")
