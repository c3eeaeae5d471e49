import AsyncIOTesting
import SystemPackage
import Testing

@testable import AsyncIO

/// Sending files through a connection. Those of the filtered loops are copied.
struct SendFileTests {
    /// A connection of a protocol, and the socket at its other end.
    static func connect(
        _ loop: EventLoop
    ) async throws -> (transport: StreamTransport, recorder: Recorder, peer: Socket) {
        let (client, server) = try await loop.connectedSockets()
        let (transport, recorder) = try await loop.createConnection(to: .socket(client)) { Recorder() }
        return (transport, recorder, server)
    }

    /// Reads until EOF, or until `count` bytes have come.
    static func read(_ socket: Socket, _ loop: EventLoop, count: Int = .max) async throws -> [UInt8] {
        var received: [UInt8] = []
        while received.count < count {
            let bytes = try await loop.sock.recv(socket, maxBytes: min(65_536, count - received.count))
            if bytes.isEmpty { break }
            received += bytes
        }
        return received
    }

    // covers: 284, 286
    @Test(arguments: TestLoop.allAndFiltered)
    func fileStandsBetweenTheWritesBeforeAndAfter(kind: TestLoop) async throws {
        try await withLoop(kind, patiently) { loop in
            let (transport, _, peer) = try await Self.connect(loop)
            let content = pattern(3_000_000)
            let file = try TestFile(content)
            defer { file.close() }
            let (before, after) = (pattern(2_000_000), pattern(50_000))
            let sending = loop.createTask {
                nonisolated(unsafe) let transport = transport
                transport.write(before)
                let whole = try await transport.sendFile(file.descriptor)
                let part = try await transport.sendFile(file.descriptor, offset: 1_000_000, maxBytes: 1_500_000)
                transport.write(after)
                transport.close()
                return (whole, part)
            }
            let received = try await Self.read(peer, loop)
            let (whole, part) = try await sending.value
            #expect(whole == 3_000_000 && part == 1_500_000)
            #expect(received == before + content + content[1_000_000..<2_500_000] + after)
            #expect(try file.position() == 2_500_000)
            peer.close()
        }
    }

    // covers: 284
    @Test(arguments: TestLoop.allAndFiltered)
    func emptyFileSendsNothing(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let (transport, _, peer) = try await Self.connect(loop)
            let file = try TestFile()
            defer { file.close() }
            #expect(try await transport.sendFile(file.descriptor) == 0)
            #expect(try await transport.sendFile(file.descriptor, offset: 100) == 0)
            transport.close()
            #expect(try await Self.read(peer, loop).isEmpty)
            peer.close()
        }
    }

    // covers: 286
    @Test(arguments: TestLoop.allAndFiltered)
    func writesOfTheProtocolMeanwhileAreDiscardedAndReported(kind: TestLoop) async throws {
        try await withLoop(kind, LoopTestOptions(timeLimit: .seconds(120), unhandledErrors: 2)) { loop in
            var reports: [String] = []
            loop.exceptionHandler = { _, context in reports.append("\(context)") }
            let (transport, _, peer) = try await Self.connect(loop)
            let content = pattern(20_000_000)
            let file = try TestFile(content)
            defer { file.close() }
            let sending = loop.createTask {
                nonisolated(unsafe) let transport = transport
                return try await transport.sendFile(file.descriptor)
            }
            await loop.until { transport.state.isSendingFile }
            transport.write("in between")
            transport.write(contentsOf: [[1], [2]])
            #expect(reports.count == 2)
            #expect(reports.allSatisfy { $0.contains("was discarded") && $0.contains("sendFile() is in progress") })
            let received = try await Self.read(peer, loop, count: content.count)
            #expect(try await sending.value == content.count)
            #expect(received == content)
            transport.write("after")
            transport.close()
            #expect(try await Self.read(peer, loop) == Array("after".utf8))
            peer.close()
        }
    }

    // covers: 286
    @Test(arguments: TestLoop.allAndFiltered)
    func writesOfTasksWaitForTheFile(kind: TestLoop) async throws {
        try await withLoop(kind, patiently) { loop in
            let (client, peer) = try await loop.connectedSockets()
            let (_, writer) = try await loop.openConnection(to: .socket(client))
            let content = pattern(5_000_000)
            let file = try TestFile(content)
            defer { file.close() }
            nonisolated(unsafe) let shared = writer
            let first = loop.createTask { try await shared.sendFile(file.descriptor) }
            await loop.until { writer.transport.state.isSendingFile }
            let second = loop.createTask { try await shared.write("between") }
            let third = loop.createTask { try await shared.sendFile(file.descriptor, maxBytes: 1_000_000) }
            let received = try await Self.read(peer, loop, count: 6_000_007)
            #expect(try await first.value == 5_000_000)
            try await second.value
            #expect(try await third.value == 1_000_000)
            #expect(received == content + Array("between".utf8) + content[..<1_000_000])
            #expect(writer.bytesWritten == 6_000_007)
            writer.close()
            #expect(try await Self.read(peer, loop).isEmpty)
            peer.close()
        }
    }

    /// A request that arrives meanwhile could not be answered yet.
    // covers: 286
    @Test(arguments: TestLoop.allAndFiltered)
    func protocolGetsNoDataMeanwhile(kind: TestLoop) async throws {
        try await withLoop(kind, patiently) { loop in
            let (transport, recorder, peer) = try await Self.connect(loop)
            await loop.until { transport.isReading }
            let content = pattern(10_000_000)
            let file = try TestFile(content)
            defer { file.close() }
            let sending = loop.createTask {
                nonisolated(unsafe) let transport = transport
                return try await transport.sendFile(file.descriptor)
            }
            await loop.until { transport.state.isSendingFile }
            #expect(!transport.isReading)
            try await loop.sock.sendAll(peer, Array("request".utf8))
            _ = try await Self.read(peer, loop, count: 1_000_000)
            #expect(recorder.received.isEmpty)
            _ = try await Self.read(peer, loop, count: 9_000_000)
            _ = try await sending.value
            await loop.until { recorder.received.count == 7 }
            #expect(transport.isReading)

            // A pause of the program stays.
            transport.pauseReading()
            let rest = loop.createTask {
                nonisolated(unsafe) let transport = transport
                return try await transport.sendFile(file.descriptor, maxBytes: 10)
            }
            _ = try await rest.value
            #expect(!transport.isReading)
            transport.close()
            peer.close()
        }
    }

    // covers: 285
    @Test(arguments: TestLoop.allAndFiltered)
    func bytesAreCopiedWhereTheSystemCannotSendFiles(kind: TestLoop) async throws {
        try await withLoop(kind, patiently) { loop in
            let (transport, _, peer) = try await Self.connect(loop)
            let content = pattern(2_000_000)
            let file = try TestFile(content)
            defer { file.close() }
            loop.injectFaults { $0 == .sendFile ? .fails(.invalidArgument) : nil }
            #expect(
                await asyncCode { try await transport.sendFile(file.descriptor, allowsCopying: false) }
                    == .sendfileNotAvailable)
            #expect(!transport.state.isSendingFile && !transport.state.isWriteInProgress)
            let sending = loop.createTask {
                nonisolated(unsafe) let transport = transport
                return try await transport.sendFile(file.descriptor)
            }
            #expect(try await Self.read(peer, loop, count: content.count) == content)
            #expect(try await sending.value == content.count)
            #expect(try file.position() == 2_000_000)
            transport.close()
            peer.close()
        }
    }

    // covers: 289
    @Test(arguments: TestLoop.allAndFiltered)
    func argumentsAreCheckedAndAClosedConnectionRejects(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let (transport, _, peer) = try await Self.connect(loop)
            let file = try TestFile([1, 2, 3])
            defer { file.close() }
            for (offset, maxBytes) in [(-1, nil), (0, 0), (0, -1)] as [(Int64, Int?)] {
                #expect(
                    await asyncCode {
                        try await transport.sendFile(file.descriptor, offset: offset, maxBytes: maxBytes)
                    } == .invalidArgument)
            }
            #expect(await asyncCode { try await transport.sendFile(peer.descriptor) } == .invalidArgument)
            transport.writeEOF()
            #expect(await asyncCode { try await transport.sendFile(file.descriptor) } == .connectionClosed)
            transport.close()
            #expect(await asyncCode { try await transport.sendFile(file.descriptor) } == .connectionClosed)
            #expect(try file.position() == 0)
            #expect(try await Self.read(peer, loop).isEmpty)
            peer.close()
        }
    }

    // covers: 286
    @Test(arguments: TestLoop.allAndFiltered, [false, true])
    func closeWaitsForTheFile(kind: TestLoop, isGraceful: Bool) async throws {
        try await withLoop(kind, patiently) { loop in
            let (transport, recorder, peer) = try await Self.connect(loop)
            let content = pattern(10_000_000)
            let file = try TestFile(content)
            defer { file.close() }
            let sending = loop.createTask {
                nonisolated(unsafe) let transport = transport
                return try await transport.sendFile(file.descriptor)
            }
            await loop.until { transport.state.isSendingFile && (try? file.position()) != nil }
            await loop.until { transport.unsentBytesOfWrite > 0 }
            if isGraceful { transport.closeGracefully(within: .seconds(60)) } else { transport.close() }
            #expect(try await Self.read(peer, loop) == content)
            #expect(try await sending.value == content.count)
            peer.close()
            await loop.until { recorder.events.last == .lost(nil) }
        }
    }
}
