import AsyncIO

// Everything in this module is isolated to the main actor, including the helpers; the loop runs on the main thread.
var served = 0

func next(_ reader: StreamReader) async throws -> String? {
    try await reader.readLine()
}

func answer(_ line: String, _ writer: StreamWriter) async throws {
    served += 1
    try await writer.write(line + "\n")
}

func echo(_ reader: StreamReader, _ writer: StreamWriter) async throws {
    while let line = try await next(reader) { try await answer(line, writer) }
}

final class Session {
    private let reader: StreamReader
    private let writer: StreamWriter

    init(_ reader: StreamReader, _ writer: StreamWriter) {
        self.reader = reader
        self.writer = writer
    }

    func hold() async throws {
        while let line = try await withTimeout(.seconds(5), { try await self.reader.readLine() }) {
            try await answer(line, writer)
        }
    }
}

func ask(on loop: EventLoop, _ port: UInt16) async throws -> [String] {
    let (reader, writer) = try await loop.openConnection(host: "127.0.0.1", port: port)
    defer { writer.close() }
    try await writer.write("one\ntwo\n")
    try await writer.writeEOF()
    var lines: [String] = []
    while let line = try await next(reader) { lines.append(line) }
    return lines
}

func exchange(on loop: EventLoop) async throws {
    let servers = [
        try await loop.startServer(host: "127.0.0.1", port: 0) { reader, writer in try await echo(reader, writer) },
        try await loop.startServer(host: "127.0.0.1", port: 0, echo),
        try await loop.startServer(host: "127.0.0.1", port: 0) { @MainActor reader, writer in
            while let line = try await next(reader) { try await answer(line, writer) }
        },
        try await loop.startServer(host: "127.0.0.1", port: 0) { @MainActor reader, writer in
            try await Session(reader, writer).hold()
        },
    ]
    for server in servers {
        let lines = try await ask(on: loop, server.localAddresses[0].port!)
        precondition(lines == ["one", "two"])
        server.close()
        try await server.waitClosed()
    }
}

try run { loop in try await exchange(on: loop) }
precondition(served == 8)
print("ok: main actor, default settings")
