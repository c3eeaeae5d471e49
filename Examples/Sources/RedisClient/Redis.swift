import AsyncIO

/// A client of a Redis server that all tasks of a loop can use at the same time.
///
/// Commands are pipelined: each one is sent at once, and the replies come in the order of the commands. When the
/// connection is lost, commands without a reply fail, because it is unknown whether the server executed them. Later
/// commands wait for the next connection.
final class Redis {
    enum Reply: CustomStringConvertible {
        case text(String)
        case error(String)
        case integer(Int)
        case bytes([UInt8]?)
        case array([Reply])

        var description: String {
            switch self {
            case .text(let text): text
            case .error(let text): "error: \(text)"
            case .integer(let number): "\(number)"
            case .bytes(let bytes): bytes.map { String(decoding: $0, as: UTF8.self) } ?? "nothing"
            case .array(let replies): "\(replies)"
            }
        }
    }

    private final class Connection {
        let writer: StreamWriter
        /// The replies to the commands that were sent, oldest first.
        var replies: [Future<Reply>] = []

        init(_ writer: StreamWriter) {
            self.writer = writer
        }
    }

    private let loop: EventLoop
    private let port: UInt16
    private let maximumBytes = 512 << 20 // of a value, which is Redis' limit
    /// Pending while there is no connection.
    private var connection: Future<Connection>

    init(loop: EventLoop, port: UInt16) {
        self.loop = loop
        self.port = port
        connection = loop.createFuture()
    }

    func send(_ words: String...) async throws -> Reply {
        let connection = try await connection.value
        let reply = loop.createFuture(of: Reply.self)
        // A write begins before anything else runs, so the order of the list is the order of the commands.
        connection.replies.append(reply)
        try await connection.writer.write(encode(words))
        return try await reply.value
    }

    /// Maintains a connection to the server until the task is cancelled.
    func run() async throws {
        let shortestDelay = Duration.milliseconds(50)
        var delay = shortestDelay
        while true {
            do {
                let (reader, writer) = try await loop.openConnection(host: "127.0.0.1", port: port)
                delay = shortestDelay
                try await receive(reader, Connection(writer))
            } catch {
                try Task.checkCancellation()
                print("no connection: \(error)")
            }
            // The delay doubles after each failure, so that a server that is down is not flooded.
            try await loop.sleep(for: delay)
            delay = min(delay * 2, .seconds(5))
        }
    }

    private func receive(_ reader: StreamReader, _ current: Connection) async throws {
        defer { current.writer.close() }
        try connection.setResult(current)
        do {
            while true {
                let reply = try await readReply(reader)
                guard !current.replies.isEmpty else { throw ProtocolError(text: "a reply without a command") }
                try current.replies.removeFirst().setResult(reply)
            }
        } catch {
            connection = loop.createFuture()
            for reply in current.replies { try reply.setException(error) }
            throw error
        }
    }

    private func readReply(_ reader: StreamReader) async throws -> Reply {
        guard let line = try await reader.readLine() else { throw ProtocolError(text: "the server has closed it") }
        let rest = String(line.dropFirst())
        switch (line.first, Int(rest)) {
        case ("+", _): return .text(rest)
        case ("-", _): return .error(rest)
        case (":", let number?): return .integer(number)
        case ("$", -1): return .bytes(nil)
        case ("$", let count?) where 0...maximumBytes ~= count:
            return .bytes(try await reader.readExactly(count + 2).dropLast(2))
        case ("*", let count?):
            var items: [Reply] = []
            for _ in 0..<max(0, count) { items.append(try await readReply(reader)) }
            return .array(items)
        default: throw ProtocolError(text: "this is not a reply: \(line)")
        }
    }

    private func encode(_ words: [String]) -> String {
        words.reduce("*\(words.count)\r\n") { $0 + "$\($1.utf8.count)\r\n\($1)\r\n" }
    }

    struct ProtocolError: Error, CustomStringConvertible {
        var text: String
        var description: String { text }
    }
}
