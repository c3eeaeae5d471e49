import AsyncIO

// Handlers that pass their streams to helpers, structs and classes.

func echo(_ reader: StreamReader, _ writer: StreamWriter) async throws {
    while let line = try await reader.readLine() { try await answer(line, writer) }
}

func next(_ reader: StreamReader) async throws -> String? {
    try await reader.readLine()
}

func answer(_ line: String, _ writer: StreamWriter) async throws {
    try await writer.write(line + "\n")
}

struct Session {
    let reader: StreamReader
    let writer: StreamWriter
    var lines = 0

    func greet() async throws {
        try await answer("welcome", writer)
    }

    mutating func step() async throws -> Bool {
        guard let line = try await next(reader) else { return false }
        lines += 1
        try await answer("\(lines) \(line)", writer)
        return true
    }
}

final class Conversation {
    private let reader: StreamReader
    private let writer: StreamWriter
    private(set) var lines: [String] = []

    init(_ reader: StreamReader, _ writer: StreamWriter) {
        self.reader = reader
        self.writer = writer
    }

    func hold() async throws {
        while try await step() {}
    }

    func step() async throws -> Bool {
        guard let line = try await withTimeout(.seconds(5), { try await self.reader.readLine() }) else { return false }
        lines.append(line)
        try await withTimeout(.seconds(5)) { try await answer(line.uppercased(), writer) }
        return true
    }
}

/// Shared by all connections of a server.
final class Room {
    private var members: [ObjectIdentifier: StreamWriter] = [:]
    private(set) var visits = 0

    func serve(_ reader: StreamReader, _ writer: StreamWriter) async throws {
        visits += 1
        members[ObjectIdentifier(writer)] = writer
        defer { members[ObjectIdentifier(writer)] = nil }
        while let line = try await next(reader) {
            try await send("first \(line)")
            try await send("second \(line)")
        }
    }

    func send(_ line: String) async throws {
        for member in members.values { try await answer(line, member) }
    }

    func open(on loop: EventLoop) async throws -> Server {
        try await loop.startServer(host: "127.0.0.1", port: 0) { reader, writer in
            try await self.serve(reader, writer)
        }
    }
}

/// Returns a server for each handler, and what the handler answers to one line.
func servers(on loop: EventLoop, _ room: Room) async throws -> [(server: Server, answers: [String])] {
    return [
        (
            try await loop.startServer(host: "127.0.0.1", port: 0) { reader, writer in try await echo(reader, writer) },
            ["hello"]
        ),
        (try await loop.startServer(host: "127.0.0.1", port: 0, echo), ["hello"]),
        (
            try await loop.startServer(host: "127.0.0.1", port: 0) { reader, writer in
                // A helper twice in a row, with the same streams.
                let first = try await next(reader)
                try await answer(first ?? "", writer)
                try await answer("again", writer)
                let second = try await next(reader)
                try await answer(second ?? "", writer)
            }, ["hello", "again", ""]
        ),
        (
            try await loop.startServer(host: "127.0.0.1", port: 0) { reader, writer in
                for number in 0..<3 {
                    try await answer("\(number)", writer)
                    if number == 0 { _ = try await next(reader) }
                }
                while let line = try await next(reader) { try await answer(line, writer) }
            }, ["0", "1", "2"]
        ),
        (
            try await loop.startServer(host: "127.0.0.1", port: 0) { reader, writer in
                var session = Session(reader: reader, writer: writer)
                try await session.greet()
                while try await session.step() {}
                try await session.greet()
            }, ["welcome", "1 hello", "welcome"]
        ),
        (
            try await loop.startServer(host: "127.0.0.1", port: 0) { reader, writer in
                let conversation = Conversation(reader, writer)
                try await conversation.hold()
                precondition(conversation.lines.count == 1)
            }, ["HELLO"]
        ),
        (
            try await loop.startServer(host: "127.0.0.1", port: 0) { reader, writer in
                try await room.serve(reader, writer)
            }, ["first hello", "second hello"]
        ),
        (try await room.open(on: loop), ["first hello", "second hello"]),
        (
            try await loop.startServer(host: "127.0.0.1", port: 0) { reader, writer in
                // One task reads, another one writes.
                let lines = Lines()
                let reading = loop.createTask { try await lines.fill(from: reader) }
                let writing = loop.createTask { try await lines.copy(to: writer) }
                try await reading.value
                try await writing.value
            }, ["hello", "ended"]
        ),
        (
            try await loop.startServer(host: "127.0.0.1", port: 0) { reader, writer in
                let lines = Lines()
                try await withLoopTaskGroup { group in
                    group.createTask { try await lines.fill(from: reader) }
                    group.createTask { try await lines.copy(to: writer) }
                }
            }, ["hello", "ended"]
        ),
        (
            try await loop.startServer(host: "127.0.0.1", port: 0) { reader, writer in
                for try await line in reader.lines { try await answer(line, writer) }
            }, ["hello"]
        ),
        (
            try await loop.startServer(host: "127.0.0.1", port: 0) { reader, writer in
                while let chunk = try await reader.readChunk() { try await writer.write(chunk.bytes) }
            }, ["hello"]
        ),
    ]
}

/// The state that two tasks of one connection share.
final class Lines {
    private var queue: [String] = []
    private var isAtEnd = false

    func fill(from reader: StreamReader) async throws {
        while let line = try await next(reader) { queue.append(line) }
        isAtEnd = true
    }

    func copy(to writer: StreamWriter) async throws {
        let loop = try getRunningLoop()
        while !isAtEnd || !queue.isEmpty {
            if queue.isEmpty { await loop.yield() } else { try await answer(queue.removeFirst(), writer) }
        }
        try await answer("ended", writer)
    }
}
