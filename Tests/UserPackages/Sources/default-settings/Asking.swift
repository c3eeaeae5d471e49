import AsyncIO

// Clients: helpers, a class that holds a connection, and the scoped form.

func ask(_ reader: StreamReader, _ writer: StreamWriter, _ line: String) async throws -> [String] {
    try await writer.write(line + "\n")
    try await writer.writeEOF()
    var answers: [String] = []
    while let answer = try await next(reader) { answers.append(answer) }
    return answers
}

final class Client {
    private let reader: StreamReader
    private let writer: StreamWriter

    init(on loop: EventLoop, _ port: UInt16) async throws {
        (reader, writer) = try await loop.openConnection(host: "127.0.0.1", port: port)
    }

    func ask(_ line: String) async throws -> [String] {
        let first = try await withTimeout(.seconds(5)) { try await self.send(line) }
        var answers = first.map { [$0] } ?? []
        try await writer.writeEOF()
        while let answer = try await next(reader) { answers.append(answer) }
        writer.close()
        try await writer.waitClosed()
        return answers
    }

    private func send(_ line: String) async throws -> String? {
        try await answer(line, writer)
        return try await next(reader)
    }
}

/// Asks the same question in each way that a program can ask it.
func ask(on loop: EventLoop, _ port: UInt16) async throws -> [[String]] {
    let (reader, writer) = try await loop.openConnection(host: "127.0.0.1", port: port)
    let opened = try await ask(reader, writer, "hello")
    writer.close()

    let scoped = try await loop.withConnection(host: "127.0.0.1", port: port) { reader, writer in
        try await ask(reader, writer, "hello")
    }

    let client = try await Client(on: loop, port)
    let held = try await client.ask("hello")

    let task = loop.createTask {
        let (reader, writer) = try await loop.openConnection(host: "127.0.0.1", port: port)
        defer { writer.close() }
        return try await withTimeout(.seconds(5)) { try await ask(reader, writer, "hello") }
    }
    return [opened, scoped, held, try await task.value]
}
