import AsyncIO
import AsyncIOSystem
import AsyncIOTesting
import CAsyncIO
import Foundation
import SystemPackage
import Testing

/// Descriptors that are passed with a message.
struct SockDescriptorsTests {
    /// Creates a pipe of which one end can be passed.
    private static func pipe() throws -> (readEnd: FileDescriptor, writeEnd: FileDescriptor) {
        let pipe = try FileDescriptor.pipe()
        return (pipe.readEnd, pipe.writeEnd)
    }

    @Test(.expectsReleasedFiles, arguments: TestLoop.all, [Socket.Kind.stream, .datagram])
    func receiverHasDuplicatesThatCloseOnExec(kind: TestLoop, socketKind: Socket.Kind) async throws {
        try await withLoop(kind) { loop in
            let (near, far) = try Socket.pair(socketKind)
            defer {
                near.close()
                far.close()
            }
            let (readEnd, writeEnd) = try Self.pipe()
            let receiving = loop.createTask {
                try await loop.sock.receiveDescriptors(far, maxDescriptors: 4, maxBytes: 100)
            }
            await loop.untilWatched()
            try await loop.sock.sendDescriptors(near, [readEnd, writeEnd], with: Array("two".utf8))
            let (bytes, descriptors) = try await receiving.value
            #expect(bytes == Array("two".utf8))
            try #require(descriptors.count == 2)
            for descriptor in descriptors { #expect(Socket(number: descriptor.rawValue).closesOnExec) }
            // The sender's descriptors are still open, and are not needed.
            try readEnd.close()
            try writeEnd.close()
            try descriptors[1].writeAll("through the pipe".utf8)
            try descriptors[1].close()
            var text = [UInt8](repeating: 0, count: 100)
            let count = try text.withUnsafeMutableBytes { try descriptors[0].read(into: $0) }
            #expect(String(decoding: text.prefix(count), as: UTF8.self) == "through the pipe")
            #expect(becomesTrue { (try? text.withUnsafeMutableBytes { try descriptors[0].read(into: $0) }) == 0 })
            try descriptors[0].close()
        }
    }

    /// As a server that passes its clients to another process.
    // covers: 175
    @Test(arguments: TestLoop.allAndFiltered)
    func receivedSocketsBecomeServersAndConnections(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let directory = try SocketDirectory()
            defer { directory.remove() }
            let (near, far) = try Socket.pair()
            let listener = try Socket.stream(.unix)
            try listener.bind(to: SocketAddress(unixPath: directory.file())!)
            try listener.listen(backlog: 5)
            let client = try Socket.stream(.unix)
            _ = try client.connect(to: SocketAddress(unixPath: directory.file())!)
            let accepted = try #require(try listener.accept()).socket
            try await loop.sock.sendDescriptors(near, [listener.descriptor, accepted.descriptor], with: [1])
            listener.close()
            accepted.close()
            let received = try await loop.sock.receiveDescriptors(far, maxDescriptors: 2, maxBytes: 1).descriptors
            let sockets = received.map { Socket(number: $0.rawValue) }
            try #require(sockets.count == 2)

            let (reader, writer) = try await loop.openConnection(to: .socket(sockets[1]))
            try await loop.sock.sendAll(client, Array("question\n".utf8))
            #expect(try await reader.readLine() == "question")
            writer.close()

            let server = try await loop.createServer(on: .socket(sockets[0])) { EchoProtocol() }
            try await loop.withConnection(to: .unix(directory.file())) { reader, writer in
                try await writer.write("x")
                #expect(try await reader.readExactly(1) == Array("x".utf8))
            }
            await loop.until { server.connectionCount == 0 }
            server.close()
            for socket in [near, far, client] { socket.close() }
        }
    }

    @Test(arguments: TestLoop.all)
    func mostDescriptorsOfOneMessageArrive(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            try await withSockets { near, far in
                let most = Socket.mostDescriptorsPerMessage
                let descriptors = Array(repeating: near.descriptor, count: most)
                try await loop.sock.sendDescriptors(near, descriptors, with: [1, 2, 3])
                let received = try await loop.sock.receiveDescriptors(far, maxDescriptors: .max, maxBytes: .max)
                #expect(received.bytes == [1, 2, 3] && received.descriptors.count == most)
                for descriptor in received.descriptors { try descriptor.close() }
            }
        }
    }

    /// Descriptors come with the first byte of their message, and never with those of the next one.
    @Test(arguments: TestLoop.all)
    func longMessagesArriveInOrder(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            try await withSockets { near, far in
                let message = pattern(500_000)
                let sending = loop.createTask {
                    try await loop.sock.sendAll(near, [1, 2])
                    try await loop.sock.sendDescriptors(near, [near.descriptor], with: message)
                    try await loop.sock.sendDescriptors(near, [near.descriptor, near.descriptor], with: [3])
                }
                var bytes: [UInt8] = []
                var counts: [Int] = []
                while bytes.count < message.count + 3 {
                    let part = try await loop.sock.receiveDescriptors(far, maxDescriptors: 3, maxBytes: .max)
                    #expect(part.bytes.count <= 65_536)
                    bytes += part.bytes
                    if !part.descriptors.isEmpty { counts.append(part.descriptors.count) }
                    for descriptor in part.descriptors { try descriptor.close() }
                }
                try await sending.value
                #expect(bytes == [1, 2] + message + [3] && counts == [1, 2])
            }
        }
    }

    /// Nothing that arrives is left open.
    @Test(.expectsReleasedFiles, arguments: TestLoop.all, [false, true])
    func tooManyDescriptorsAreClosed(kind: TestLoop, hasCredentials: Bool) async throws {
        try await withLoop(kind) { loop in
            try await withSockets { near, far in
                #if os(Linux)
                // Then another control message comes first.
                if hasCredentials { try far.setOption(SocketOption(level: SOL_SOCKET, name: SO_PASSCRED), to: 1) }
                #endif
                for sent in [2, 3, 20] {
                    let (readEnd, writeEnd) = try Self.pipe()
                    let descriptors = Array(repeating: writeEnd, count: sent)
                    try await loop.sock.sendDescriptors(near, descriptors, with: [1])
                    try writeEnd.close()
                    let error = await #expect(throws: IOError.self) {
                        _ = try await loop.sock.receiveDescriptors(far, maxDescriptors: 1, maxBytes: 10)
                    }
                    #expect(error?.errno == .messageTooLong)
                    #expect(error?.description.contains("more than 1, or than this process may have") == true)
                    // No write end is left, so a read returns EOF.
                    var byte = [UInt8](repeating: 0, count: 1)
                    #expect(becomesTrue { (try? byte.withUnsafeMutableBytes { try readEnd.read(into: $0) }) == 0 })
                    try readEnd.close()
                }
                // The connection can still be used.
                try await loop.sock.sendDescriptors(near, [near.descriptor], with: [9])
                let received = try await loop.sock.receiveDescriptors(far, maxDescriptors: 1, maxBytes: 10)
                #expect(received.bytes == [9] && received.descriptors.count == 1)
                for descriptor in received.descriptors { try descriptor.close() }
            }
        }
    }

    /// A receiver that does not expect descriptors does not get any.
    @Test(.expectsReleasedFiles, arguments: TestLoop.all)
    func otherOperationsDropDescriptors(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let (near, far) = try Socket.pair()
            let (readEnd, writeEnd) = try Self.pipe()
            try await loop.sock.sendDescriptors(near, [writeEnd], with: Array("line\n".utf8))
            try writeEnd.close()
            let (reader, writer) = try await loop.openConnection(to: .socket(far))
            #expect(try await reader.readLine() == "line")
            var byte = [UInt8](repeating: 0, count: 1)
            #expect(becomesTrue { (try? byte.withUnsafeMutableBytes { try readEnd.read(into: $0) }) == 0 })
            try readEnd.close()
            writer.close()
            near.close()
        }
    }

    /// A receive stops behind a message with descriptors, so a short one has not emptied the socket.
    @Test(.expectsReleasedFiles, arguments: TestLoop.allAndFiltered, [1, 100_000])
    func bytesBehindDroppedDescriptorsAreReadAtOnce(kind: TestLoop, messageBytes: Int) async throws {
        try await withLoop(kind) { loop in
            let (near, far) = try Socket.pair()
            let recorder = DataRecorder()
            _ = try await loop.createConnection(to: .socket(far)) { recorder }
            for round in 1...5 {
                let message = pattern(messageBytes)
                for _ in 0..<3 {
                    try await loop.sock.sendDescriptors(near, [near.descriptor], with: message)
                }
                try await loop.sock.sendAll(near, [1])
                // Nothing else arrives until all of it was received.
                await loop.until { recorder.byteCount == round * (3 * messageBytes + 1) }
            }
            near.close()
            await loop.until { recorder.isLost }
        }
    }

    @Test(arguments: TestLoop.all)
    func endOfFileHasNoBytes(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            try await withSockets { near, far in
                try near.shutdownWrite()
                let received = try await loop.sock.receiveDescriptors(far, maxDescriptors: 1, maxBytes: 10)
                #expect(received.bytes.isEmpty && received.descriptors.isEmpty)
            }
        }
    }

    @Test(arguments: TestLoop.all)
    func cancelledReceiveTakesNothing(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            try await withSockets { near, far in
                let receiving = loop.createTask {
                    _ = try await loop.sock.receiveDescriptors(far, maxDescriptors: 1, maxBytes: 10)
                }
                await loop.untilWatched()
                receiving.cancel()
                await #expect(throws: CancellationError.self) { try await receiving.value }
                try await loop.sock.sendDescriptors(near, [near.descriptor], with: [1])
                let received = try await loop.sock.receiveDescriptors(far, maxDescriptors: 1, maxBytes: 10)
                #expect(received.bytes == [1] && received.descriptors.count == 1)
                for descriptor in received.descriptors { try descriptor.close() }
            }
        }
    }

    @Test(arguments: TestLoop.all)
    func impossibleArgumentsAreRejected(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            try await withSockets { near, far in
                let sock = loop.sock
                let one = [near.descriptor]
                let tooMany = Array(repeating: near.descriptor, count: 254)
                #expect(await asyncCode { try await sock.sendDescriptors(near, [], with: [1]) } == .invalidArgument)
                #expect(
                    await asyncCode { try await sock.sendDescriptors(near, tooMany, with: [1]) } == .invalidArgument)
                #expect(await asyncCode { try await sock.sendDescriptors(near, one, with: []) } == .invalidArgument)
                for (descriptors, bytes) in [(0, 1), (1, 0), (-1, 1), (1, -1)] {
                    #expect(
                        await asyncCode {
                            _ = try await sock.receiveDescriptors(
                                far, maxDescriptors: descriptors, maxBytes: bytes)
                        } == .invalidArgument)
                }
                // Where descriptors would be lost without an error.
                let (client, server) = try await loop.connectedSockets()
                #expect(await asyncCode { try await sock.sendDescriptors(client, one, with: [1]) } == .invalidArgument)
                #expect(
                    await asyncCode { _ = try await sock.receiveDescriptors(server, maxDescriptors: 1, maxBytes: 1) }
                        == .invalidArgument)
                let closed = await #expect(throws: IOError.self) {
                    try await sock.sendDescriptors(near, [FileDescriptor(rawValue: 999_999)], with: [1])
                }
                #expect(closed?.errno == .badFileDescriptor)
                client.close()
                server.close()
            }
        }
    }
}

/// Counts the bytes that arrive.
private final class DataRecorder: StreamProtocol {
    private(set) var byteCount = 0
    private(set) var isLost = false

    func connectionMade(_ transport: StreamTransport) {}
    func dataReceived(_ data: RawSpan) { byteCount += data.byteCount }
    func connectionLost(_ error: (any Error)?) { isLost = true }
}
