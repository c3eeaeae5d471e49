import AsyncIOTesting
import SystemPackage
import Testing

@testable import AsyncIO

/// Writes after the end of their connection.
struct DroppedWriteTests {
    /// What ends the connection, and how a report describes it.
    enum End: CaseIterable {
        case close, closeWithBytesLeft, closeGracefully, abort, reset, peerEOF, bothEOF, loss, protocolError

        var text: String {
            switch self {
            case .close, .closeWithBytesLeft: "close() has ended the connection"
            case .closeGracefully: "closeGracefully() has ended the connection"
            case .abort: "abort() has ended the connection"
            case .reset: "reset() has ended the connection"
            case .peerEOF: "the peer's EOF has ended the connection"
            case .bothEOF: "both sides sent EOF"
            case .loss: "\(Errno.connectionReset)"
            case .protocolError: "ExampleError()"
            }
        }
    }

    // covers: 146
    @Test(arguments: ScriptedBackend.allCases, End.allCases)
    func firstDroppedWriteIsReportedOncePerConnection(backend: ScriptedBackend, end: End) async throws {
        let options = LoopTestOptions(unhandledErrors: end == .protocolError ? 2 : 1)
        try await withScriptedNetwork(backend, options) { network in
            var reports: [String] = []
            network.loop.setExceptionHandler { _, context in reports.append("\(context)") }
            let recorder = Recorder()
            let (transport, peer) = try network.connect(recorder)
            await network.idle()
            var written: [UInt8] = []
            switch end {
            case .close: transport.close()
            case .closeWithBytesLeft:
                peer.blocksWrites()
                transport.write("before")
                written = Array("before".utf8)
                transport.close()
            case .closeGracefully: transport.closeGracefully()
            case .abort: transport.abort()
            case .reset: transport.reset()
            case .peerEOF: peer.ends()
            case .bothEOF:
                recorder.staysOpen = true
                transport.writeEOF()
                peer.ends()
            case .loss: peer.resets()
            case .protocolError:
                recorder.failing = .dataReceived
                peer.sends("x")
            }
            if [.peerEOF, .bothEOF, .loss, .protocolError].contains(end) { await network.idle() }
            reports = []
            transport.write("")
            #expect(reports.isEmpty)
            transport.write("dropped")
            #expect(reports.count == 1)
            #expect(reports.first?.contains("a write of 7 bytes from unnamed to unnamed was discarded") == true)
            #expect(reports.first?.contains(end.text) == true, "\(reports)")
            for _ in 0..<10 { transport.write(contentsOf: [[1], [2]]) }
            await network.idle()
            // Nor when the connection has ended completely.
            peer.unblocksWrites()
            peer.ends()
            await network.idle()
            transport.write("dropped")
            #expect(reports.count == 1)
            #expect(peer.written == written)
        }
    }

    // covers: 146, 147
    @Test(arguments: ScriptedBackend.allCases)
    func writeBeforeConnectionLostIsNotReported(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend, LoopTestOptions(unhandledErrors: 1)) { network in
            let recorder = Recorder()
            recorder.reaction = { event, transport in
                guard case .lost = event else { return }
                #expect(network.loop.statistics.unhandledErrors == 0)
                transport.write("dropped and reported")
                #expect(network.loop.statistics.unhandledErrors == 1)
            }
            let (transport, peer) = try network.connect(recorder)
            await network.idle()
            transport.pauseReading()
            peer.resets()
            for _ in 0..<10 { transport.write("found or not") }
            await network.idle()
            #expect(recorder.events == [.made, .lost(.io(.connectionReset))])
            transport.write("dropped")
        }
    }

    // covers: 146
    @Test(arguments: TestLoop.allAndFiltered)
    func reportContainsBothAddresses(kind: TestLoop) async throws {
        try await withLoop(kind, LoopTestOptions(unhandledErrors: 1)) { loop in
            var contexts: [ExceptionContext] = []
            loop.setExceptionHandler { _, context in contexts.append(context) }
            let server = try await loop.createServer(host: "127.0.0.1", port: 0) { EchoProtocol() }
            let (transport, recorder) = try await loop.createConnection(host: "127.0.0.1", port: server.port) {
                Recorder()
            }
            let local = try #require(transport.localAddress)
            transport.close()
            transport.write("dropped")
            #expect(
                contexts.first?.message == "a write of 7 bytes from \(local) to \(server.address) was discarded")
            #expect((contexts.first?.error as? EventLoopError)?.code == .connectionClosed)
            #expect(contexts.first?.transport === transport && contexts.first?.protocol === recorder)
            contexts = []
            await loop.until { server.connectionCount == 0 }
            server.close()
        }
    }

    /// The loop has freed its connections and calls no user code.
    // covers: 34, 146
    @Test(arguments: ScriptedBackend.allCases)
    func nothingIsReportedAfterTheLoopWasClosed(backend: ScriptedBackend) async throws {
        try await withScriptedNetworkThread(backend) { network in
            let (transport, _) = try network.connect(Recorder())
            try network.loop.close()
            for _ in 0..<10 { transport.write("dropped") }
        }
    }
}
