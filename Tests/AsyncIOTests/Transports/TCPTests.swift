import AsyncIOTesting
import CAsyncIO
import Foundation
import SystemPackage
import Testing

@testable import AsyncIO

/// Connections over the real kernel, on every loop of this system.
struct TCPTests {
    private static let megabyte = pattern(1 << 20)

    // covers: 142, 300
    @Test(arguments: TestLoop.allAndFiltered, [false, true])
    func megabyteIsEchoed(kind: TestLoop, pushes: Bool) async throws {
        try await withLoop(kind) { loop in
            let server: Server
            if pushes {
                server = try await loop.createServer(host: "127.0.0.1", port: 0) { EchoProtocol() }
            } else {
                server = try await loop.startServer(host: "127.0.0.1", port: 0) { reader, writer in
                    var buffer = [UInt8](repeating: 0, count: 10_000)
                    while let count = try await reader.read(into: &buffer) {
                        try await writer.write(buffer.span.extracting(0..<count).bytes)
                    }
                }
            }
            let (reader, writer) = try await loop.openConnection(host: "127.0.0.1", port: server.port)
            let writing = loop.createTask { try await writer.write(Self.megabyte) }
            #expect(try await reader.readExactly(Self.megabyte.count) == Self.megabyte)
            try await writing.value
            writer.close()
            server.close()
            try await server.waitClosed()
        }
    }

    // covers: 138
    @Test(arguments: TestLoop.allAndFiltered)
    func clientInPushStyleReceivesAMegabyte(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let server = try await loop.startServer(host: "127.0.0.1", port: 0) { _, writer in
                try await writer.write(Self.megabyte)
            }
            let (_, recorder) = try await loop.createConnection(host: "127.0.0.1", port: server.port) { Recorder() }
            #expect(recorder.events == [.made])
            await loop.until { recorder.transport == nil }
            #expect(recorder.received == Self.megabyte)
            #expect(recorder.eventsWithoutData == [.made, .end, .lost(nil)])
            server.close()
            try await server.waitClosed()
        }
    }

    /// The data arrives before the protocol exists.
    // covers: 138
    @Test(arguments: TestLoop.allAndFiltered)
    func callbackScheduledByConnectionMadeRunsBeforeTheData(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let (near, far) = try Socket.pair()
            sendByte(far)
            let recorder = Recorder()
            var scheduled: [Recorder.Event]?
            recorder.reaction = { event, _ in
                if event == .made { loop.callSoon { scheduled = recorder.events } }
            }
            let (transport, _) = try await loop.createConnection(to: .socket(near)) { recorder }
            await loop.until { recorder.received == [1] }
            #expect(scheduled == [.made])
            transport.close()
            far.close()
        }
    }

    // covers: 151
    @Test(arguments: TestLoop.allAndFiltered)
    func writerWaitsWhileTheProtocolPausesReading(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let (near, far) = try Socket.pair()
            // The kernel buffers only a small part of what is sent.
            try far.setOption(.sendBufferBytes, to: 64 * 1024)
            let sent = pattern(4 << 20)
            let recorder = Recorder()
            recorder.reaction = { event, transport in if event == .made { transport.pauseReading() } }
            let (transport, _) = try await loop.createConnection(to: .socket(near)) { recorder }
            var isWritten = false
            let writing = loop.createTask {
                try await loop.sock.sendAll(far, sent)
                isWritten = true
            }
            for _ in 0..<3 {
                let before = recorder.received.count
                for _ in 0..<50 { await loop.yield() }
                #expect(recorder.received.count == before && !isWritten)
                transport.resumeReading()
                await loop.until { recorder.received.count > before }
                transport.pauseReading()
            }
            transport.resumeReading()
            try await writing.value
            await loop.until { recorder.received.count == sent.count }
            #expect(recorder.received == sent)
            transport.close()
            far.close()
        }
    }

    // covers: 152, 154, F13
    @Test(arguments: TestLoop.allAndFiltered, [false, true])
    func peerThatHasSentEOFReceivesTenMegabytes(kind: TestLoop, pushes: Bool) async throws {
        try await withLoop(kind) { loop in
            let answer = [UInt8](repeating: 42, count: 10 << 20)
            let server: Server
            if pushes {
                server = try await loop.createServer(host: "127.0.0.1", port: 0) {
                    let recorder = Recorder()
                    recorder.staysOpen = true
                    recorder.reaction = { event, transport in
                        guard event == .end else { return }
                        transport.write(answer)
                        transport.close()
                    }
                    return recorder
                }
            } else {
                server = try await loop.startServer(host: "127.0.0.1", port: 0) { reader, writer in
                    #expect(try await reader.readToEnd() == Array("question".utf8))
                    try await writer.write(answer)
                }
            }
            let (reader, writer) = try await loop.openConnection(host: "127.0.0.1", port: server.port)
            try await writer.write("question")
            try await writer.writeEOF()
            #expect(try await reader.readToEnd() == answer)
            server.close()
            try await server.waitClosed()
        }
    }

    // covers: 139, F10
    @Test(.expectsReleasedFiles, arguments: TestLoop.allAndFiltered)
    func resetDuringAWriteLosesTheConnectionOnce(kind: TestLoop) async throws {
        try await withLoop(kind, LoopTestOptions(unhandledErrors: 1)) { loop in
            let recorder = Recorder()
            let server = try await loop.createServer(host: "127.0.0.1", port: 0) { recorder }
            let (_, writer) = try await loop.openConnection(host: "127.0.0.1", port: server.port)
            await loop.until { recorder.transport != nil }
            let transport = try #require(recorder.transport)
            // More bytes than the kernel's buffers hold.
            transport.write([UInt8](repeating: 1, count: 32 << 20))
            #expect(transport.writeBufferBytes > 1 << 20)
            writer.reset()
            await loop.until { recorder.transport == nil }
            #expect(recorder.eventsWithoutData == [.made, .paused, .lost(.io(.connectionReset))])
            #expect(transport.writeBufferBytes == 0)
            transport.write("dropped and reported")
            server.close()
            try await server.waitClosed()
        }
    }

    // covers: 305, 307
    @Test(.expectsReleasedFiles, arguments: TestLoop.allAndFiltered)
    func resetWakesReaderAndWriter(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let server = try await loop.startServer(host: "127.0.0.1", port: 0) { reader, writer in
                _ = try await reader.readExactly(1)
                writer.reset()
            }
            let (reader, writer) = try await loop.openConnection(host: "127.0.0.1", port: server.port)
            let writing = loop.createTask { try await writer.write([UInt8](repeating: 1, count: 32 << 20)) }
            let error = await #expect(throws: (any Error).self) { try await reader.readToEnd() }
            #expect((error as? IOError)?.errno == .connectionReset)
            await #expect(throws: IOError.self) { try await writing.value }
            #expect(0 < writer.bytesWritten && writer.bytesWritten < 32 << 20)
            server.close()
            try await server.waitClosed()
        }
    }

    // covers: 154, F14
    @Test(arguments: TestLoop.allAndFiltered, [false, true])
    func byteThatArrivesTogetherWithEOFIsAnswered(kind: TestLoop, pushes: Bool) async throws {
        try await withLoop(kind) { loop in
            let server: Server
            if pushes {
                server = try await loop.createServer(host: "127.0.0.1", port: 0) { EchoProtocol() }
            } else {
                server = try await loop.startServer(host: "127.0.0.1", port: 0) { reader, writer in
                    try await writer.write(try await reader.readToEnd())
                }
            }
            for _ in 0..<300 {
                let (reader, writer) = try await loop.openConnection(host: "127.0.0.1", port: server.port)
                try await writer.write("x")
                try await writer.writeEOF()
                #expect(try await reader.readToEnd() == Array("x".utf8))
            }
            await loop.until { server.connectionCount == 0 }
            // Only the listening socket is left.
            #expect(try openSockets(at: server.address) == 1)
            server.close()
            try await server.waitClosed()
        }
    }

    /// A receive stops before urgent data, and the bytes after it have no event of their own.
    @Test(arguments: TestLoop.allAndFiltered)
    func bytesAfterUrgentDataAreDelivered(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            var client: StreamWriter?
            let server = try await loop.startServer(host: "127.0.0.1", port: 0) { reader, writer in
                _ = try await reader.readExactly(1)
                let descriptor = try #require(client).transport.driver.channel.socket.descriptor.rawValue
                for (text, flags) in [("aaa", 0), ("!", CInt(MSG_OOB)), ("bbb", 0)] {
                    #expect(send(descriptor, text, text.utf8.count, flags) == text.utf8.count)
                }
                var text = ""
                while !text.hasSuffix("bbb") {
                    text += String(decoding: try await reader.read(maxBytes: 9), as: UTF8.self)
                }
                try await writer.write(text)
            }
            let (reader, writer) = try await loop.openConnection(host: "127.0.0.1", port: server.port)
            client = writer
            try await writer.write("x")
            #expect(try await reader.readToEnd() == Array("aaabbb".utf8))
            client = nil
            server.close()
            try await server.waitClosed()
        }
    }

    // covers: 167, F2, F15
    @Test(arguments: TestLoop.allAndFiltered)
    func serverSurvivesAStormOfResets(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let server = try await loop.createServer(host: "127.0.0.1", port: 0) { EchoProtocol() }
            let address = server.localAddresses[0]
            for _ in 0..<rounds(debug: 500, full: 5_000) {
                let socket = try Socket.stream(for: address)
                _ = try? socket.connect(to: address)
                socket.resetOnClose()
                socket.close()
                await loop.yield()
            }
            let (reader, writer) = try await loop.openConnection(host: "127.0.0.1", port: server.port)
            try await writer.write("still there?")
            #expect(try await reader.readExactly(12) == Array("still there?".utf8))
            writer.close()
            await loop.until { server.connectionCount == 0 }
            #expect(try openSockets(at: address) == 1)
            server.close()
        }
    }

    @Test(arguments: TestLoop.allAndFiltered)
    func thousandConnectionsLeaveNoDescriptors(kind: TestLoop) async throws {
        try await withLoop(kind, LoopTestOptions(timeLimit: .seconds(60))) { loop in
            let server = try await loop.startServer(host: "127.0.0.1", port: 0) { reader, writer in
                while let line = try await reader.readLine(strippingNewline: false) { try await writer.write(line) }
            }
            for round in 0..<1_000 {
                let (reader, writer) = try await loop.openConnection(host: "127.0.0.1", port: server.port)
                if round.isMultiple(of: 3) {
                    try await writer.write("hello\n")
                    #expect(try await reader.readLine() == "hello")
                }
                // Some are released without being closed.
                if round.isMultiple(of: 2) { writer.close() }
            }
            await loop.until { server.connectionCount == 0 && loop.statistics.sources == 1 }
            #expect(server.acceptedCount == 1_000)
            #expect(try openSockets(at: server.address) == 1)
            let listener = OpenFile(try #require(server.sockets[0].descriptor))
            server.close()
            #expect(listener.wasClosed)
        }
    }

    // covers: 173
    @Test(arguments: TestLoop.allAndFiltered)
    func socketOptionsAreSetOnBothSides(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let recorder = Recorder()
            let server = try await loop.createServer(host: "127.0.0.1", port: 0) { recorder }
            let (_, writer) = try await loop.openConnection(host: "127.0.0.1", port: server.port)
            await loop.until { recorder.transport != nil }
            let accepted = try #require(recorder.transport)
            #expect(try accepted.driver.channel.socket.option(.noDelay) != 0)
            #expect(try writer.transport.driver.channel.socket.option(.noDelay) != 0)
            #expect(accepted.peerAddress == writer.localAddress)
            #expect(accepted.localAddress == writer.peerAddress)
            #expect(writer.peerAddress == server.localAddresses[0])
            writer.close()
            await loop.until { recorder.transport == nil }
            #expect(accepted.peerAddress == writer.localAddress)
            server.close()
        }
    }

    @Test(arguments: TestLoop.allAndFiltered)
    func streamsWorkInATaskOfTheThreadPool(kind: TestLoop) async throws {
        // Other tests use the thread pool too.
        try await withLoop(kind, LoopTestOptions(timeLimit: .seconds(60))) { loop in
            let server = try await loop.createServer(host: "127.0.0.1", port: 0) { EchoProtocol() }
            let port = server.port
            let line = try await Task.detached {
                let (reader, writer) = try await loop.openConnection(host: "127.0.0.1", port: port)
                try await writer.write([UInt8](repeating: UInt8(ascii: "x"), count: 20_000))
                try await writer.write("\n")
                return try await reader.readLine()?.utf8.count
            }.value
            #expect(line == 20_000)
            #expect(loop.statistics.hops > 0)
            await loop.until { server.connectionCount == 0 }
            server.close()
        }
    }
}
