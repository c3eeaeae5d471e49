import AsyncIO
import AsyncIOSystem
import AsyncIOTesting
import Testing

/// Protocols that write the bytes that they receive. A loop may send them from the buffer in which they arrived.
struct WritingReceivedBytesTests {
    private static let sent = pattern(1 << 20)

    // covers: 142, 329, 335
    @Test(arguments: TestLoop.allAndFiltered, Answer.allCases)
    func everyByteArrivesInOrder(kind: TestLoop, answer: Answer) async throws {
        try await withLoop(kind) { loop in
            for readsLate in [false, true] {
                // Several, so that a buffer that is used again too early has the bytes of another connection.
                var connections: [Connection] = []
                for _ in 0..<3 { connections.append(try await loop.connect(answer)) }
                let reading = connections.map { connection in
                    loop.createTask {
                        // Then the socket takes only a part of the answers.
                        if readsLate { await loop.until { connection.answering.receivedCount == Self.sent.count } }
                        return try await connection.reader.readToEnd()
                    }
                }
                let writing = connections.map { connection in
                    loop.createTask {
                        try await connection.writer.write(Self.sent)
                        try await connection.writer.writeEOF()
                    }
                }
                for (index, connection) in connections.enumerated() {
                    try await writing[index].value
                    #expect(try await reading[index].value == connection.answering.written)
                    #expect(connection.answering.receivedCount == Self.sent.count)
                    connection.writer.close()
                }
            }
        }
    }

    // covers: 141, 142
    @Test(arguments: TestLoop.allAndFiltered, [false, true])
    func answerOfAConnectionThatClosesArrives(kind: TestLoop, aborts: Bool) async throws {
        try await withLoop(kind) { loop in
            let other = try await loop.connect(.once)
            for number in 0..<20 {
                let connection = try await loop.connect(.once)
                connection.answering.reaction = { aborts ? $0.abort() : $0.close() }
                let bytes = [UInt8](repeating: UInt8(number), count: 16_384)
                try await connection.writer.write(bytes)
                try await other.writer.write(Self.sent[..<16_384])
                if aborts {
                    // A reset may take the place of the bytes.
                    _ = try? await connection.reader.readToEnd()
                } else {
                    #expect(try await connection.reader.readExactly(bytes.count).allSatisfy { $0 == number })
                }
                #expect(try await other.reader.readExactly(16_384)[...] == Self.sent[..<16_384])
                connection.writer.close()
            }
            other.writer.close()
        }
    }

    /// As a proxy or a chat server does. One of the receivers reads late, and one leaves.
    // covers: 142, 329
    @Test(arguments: TestLoop.allAndFiltered)
    func bytesOfOneConnectionAreWrittenToOthers(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let source = try await loop.connect(.once)
            var receivers: [Connection] = []
            for _ in 0..<4 { receivers.append(try await loop.connect(.once)) }
            source.answering.others = receivers.map(\.answering)
            let writing = loop.createTask {
                try await source.writer.write(Self.sent)
                try await source.writer.writeEOF()
            }
            receivers[3].writer.transport.abort()
            let reading = receivers[..<2].map { receiver in
                loop.createTask { try await receiver.reader.readExactly(Self.sent.count) }
            }
            #expect(try await source.reader.readToEnd() == Self.sent)
            for receiver in reading { #expect(try await receiver.value == Self.sent) }
            #expect(try await receivers[2].reader.readExactly(Self.sent.count) == Self.sent)
            try await writing.value
            for connection in receivers + [source] {
                connection.answering.others = []
                connection.writer.close()
            }
        }
    }
}

/// What is written for each piece that is received.
enum Answer: CaseIterable, Sendable {
    case once, twice, inParts, behindAHeader, beforeATrailer
}

private struct Connection {
    let reader: StreamReader
    let writer: StreamWriter
    let answering: Answering
}

extension EventLoop {
    fileprivate func connect(_ answer: Answer) async throws -> Connection {
        let (near, far) = try Socket.pair()
        let (_, answering) = try await createConnection(to: .socket(near)) { Answering(answer) }
        let (reader, writer) = try await openConnection(to: .socket(far))
        return Connection(reader: reader, writer: writer, answering: answering)
    }
}

private final class Answering: StreamProtocol {
    private let answer: Answer
    private var transport: StreamTransport?
    private(set) var written: [UInt8] = []
    private(set) var receivedCount = 0
    /// They write the same.
    var others: [Answering] = []
    /// Called once after an answer.
    var reaction: ((StreamTransport) -> Void)?

    init(_ answer: Answer) {
        self.answer = answer
    }

    func connectionMade(_ transport: StreamTransport) { self.transport = transport }

    func dataReceived(_ data: RawSpan) {
        receivedCount += data.byteCount
        let header: [UInt8] = [1, 2, 3]
        switch answer {
        case .once: write(data)
        case .twice:
            write(data)
            write(data)
        case .inParts:
            let middle = data.byteCount / 3
            write(data.extracting(0..<middle))
            write(data.extracting(middle..<data.byteCount))
        case .behindAHeader:
            write(header.span.bytes)
            write(data)
        case .beforeATrailer:
            write(data)
            write(header.span.bytes)
        }
        for other in others { other.write(data) }
        if let transport { reaction?(transport) }
        reaction = nil
    }

    func connectionLost(_ error: (any Error)?) { transport = nil }

    private func write(_ bytes: RawSpan) {
        bytes.withUnsafeBytes { written += $0 }
        transport?.write(bytes)
    }
}
