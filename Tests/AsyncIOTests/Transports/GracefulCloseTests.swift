import AsyncIOTesting
import SystemPackage
import Testing

@testable import AsyncIO

struct GracefulCloseTests {
    // covers: F12
    @Test(arguments: ScriptedBackend.allCases)
    func inputIsDiscardedUntilThePeersEOF(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend, LoopTestOptions(unhandledErrors: 1)) { network in
            let recorder = Recorder()
            let (transport, peer) = try network.connect(recorder)
            await network.idle()
            transport.pauseReading()
            peer.sends("unread")
            await network.idle()
            peer.blocksWrites()
            transport.write("answer")
            transport.closeGracefully()
            transport.closeGracefully()
            transport.close()
            transport.write("dropped")
            #expect(transport.isClosing && !transport.isReading)
            #expect(transport.protocol === recorder)
            await network.idle()
            #expect(!peer.wasShutDown)
            peer.unblocksWrites()
            peer.sends("more")
            await network.idle()
            #expect(peer.writtenText == "answer")
            #expect(peer.wasShutDown && !peer.wasClosed)
            #expect(recorder.events == [.made])
            peer.ends()
            await network.idle()
            #expect(peer.wasClosed)
            #expect(recorder.events == [.made, .lost(nil)])
        }
    }

    // covers: F12
    @Test(arguments: ScriptedBackend.allCases)
    func peerThatKeepsSendingIsWaitedForUpToTheLimit(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let recorder = Recorder()
            let (transport, peer) = try network.connect(recorder)
            await network.idle()
            transport.write("answer")
            transport.closeGracefully(maxDiscardedBytes: 1_000)
            peer.sends([UInt8](repeating: 1, count: 999))
            await network.idle()
            #expect(!peer.wasClosed)
            peer.sends([1])
            await network.idle()
            #expect(peer.wasClosed && peer.writtenText == "answer")
            #expect(recorder.events == [.made, .lost(nil)])
        }
    }

    enum Peer: CaseIterable {
        case keepsSilent, doesNotRead, sendsTooMuchAndDoesNotRead
    }

    // covers: F12
    @Test(arguments: ScriptedBackend.allCases, Peer.allCases)
    func peerThatSendsNoEOFIsAbortedInTime(backend: ScriptedBackend, behaviour: Peer) async throws {
        try await withScriptedNetwork(backend) { network in
            let recorder = Recorder()
            let (transport, peer) = try network.connect(recorder)
            await network.idle()
            if behaviour != .keepsSilent { peer.blocksWrites() }
            transport.write("answer")
            transport.closeGracefully(within: .seconds(3), maxDiscardedBytes: 10)
            if behaviour == .sendsTooMuchAndDoesNotRead { peer.sends("12345678901") }
            try await network.loop.sleep(for: .milliseconds(2_999))
            #expect(!peer.wasClosed)
            try await network.loop.sleep(for: .milliseconds(2))
            await network.idle()
            #expect(peer.wasClosed)
            #expect(recorder.events == [.made, .lost(nil)])
            #expect(transport.writeBufferBytes == 0)
        }
    }

    // covers: F12
    @Test(arguments: ScriptedBackend.allCases, [false, true])
    func connectionOfATaskCanBeClosedGracefully(backend: ScriptedBackend, fromElsewhere: Bool) async throws {
        try await withScriptedNetwork(backend) { network in
            let (reader, writer, peer) = try network.openStreams()
            peer.sends("unread")
            await network.idle()
            try await writer.write("answer")
            if fromElsewhere {
                nonisolated(unsafe) let shared = writer
                try OtherThread.run { shared.closeGracefully() }
            } else {
                writer.closeGracefully()
            }
            await network.idle()
            #expect(peer.wasShutDown && !peer.wasClosed)
            await #expect(throws: EventLoopError.self) { try await reader.read(maxBytes: 1) }
            peer.ends()
            await network.idle()
            #expect(peer.wasClosed && peer.writtenText == "answer")
        }
    }

    // covers: F12
    @Test(arguments: ScriptedBackend.allCases)
    func peerThatHasSentEOFIsNotWaitedFor(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let recorder = Recorder()
            recorder.staysOpen = true
            let (transport, peer) = try network.connect(recorder)
            peer.ends()
            await network.idle()
            transport.write("answer")
            transport.closeGracefully()
            await network.idle()
            #expect(peer.wasClosed && peer.writtenText == "answer")
            #expect(recorder.events == [.made, .end, .lost(nil)])
        }
    }

    // covers: F12
    @Test(arguments: ScriptedBackend.allCases)
    func gracefulCloseWithinEOFReceivedDoesNotWait(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let recorder = Recorder()
            recorder.staysOpen = true
            recorder.reaction = { event, transport in
                guard event == .end else { return }
                transport.write("answer")
                transport.closeGracefully()
            }
            let (_, peer) = try network.connect(recorder)
            await network.idle()
            peer.blocksWrites()
            peer.ends()
            await network.idle()
            #expect(!peer.wasShutDown)
            peer.unblocksWrites()
            await network.idle()
            #expect(peer.wasClosed && peer.writtenText == "answer")
            #expect(recorder.events == [.made, .end, .lost(nil)])
        }
    }

    /// With `close()` instead, the client would read a reset.
    // covers: F12
    @Test(arguments: TestLoop.allAndFiltered)
    func clientThatKeepsSendingReceivesTheWholeResponse(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let answer = [UInt8](repeating: 42, count: 1 << 20)
            let server = try await loop.createServer(host: "127.0.0.1", port: 0) {
                let recorder = Recorder()
                recorder.reaction = { event, transport in
                    guard event == .made else { return }
                    transport.pauseReading()
                    transport.write(answer)
                    transport.closeGracefully(within: .seconds(25), maxDiscardedBytes: 64 << 20)
                }
                return recorder
            }
            let (reader, writer) = try await loop.openConnection(host: "127.0.0.1", port: server.port)
            let writing = loop.createTask {
                for _ in 0..<100 { try await writer.write([UInt8](repeating: 1, count: 50_000)) }
                try await writer.writeEOF()
            }
            try await writing.value
            #expect(try await reader.readToEnd() == answer)
            writer.close()
            server.close()
            try await server.waitClosed()
        }
    }

    /// The close at the end of the handler comes too late to cut off the response.
    // covers: F12
    @Test(arguments: TestLoop.allAndFiltered)
    func handlerMayReturnRightAfterAGracefulClose(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let server = try await loop.startServer(host: "127.0.0.1", port: 0) { _, writer in
                try await writer.write("no\n")
                writer.closeGracefully(within: .seconds(25), maxDiscardedBytes: 64 << 20)
            }
            let (reader, writer) = try await loop.openConnection(host: "127.0.0.1", port: server.port)
            for _ in 0..<100 { try await writer.write([UInt8](repeating: 1, count: 50_000)) }
            try await writer.writeEOF()
            #expect(try await reader.readLine() == "no")
            #expect(try await reader.readLine() == nil)
            writer.close()
            server.close()
            try await server.waitClosed()
        }
    }
}
