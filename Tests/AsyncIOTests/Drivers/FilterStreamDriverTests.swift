import AsyncIO
import AsyncIOSystem
import AsyncIOTesting
import SystemPackage
import Testing

@testable import AsyncIO

/// Filters on both I/O models. The tests whose argument is a `ScriptedBackend` show that a pass-through filter has no
/// effect.
struct FilterStreamDriverTests {
    private static let models = [ScriptedBackend.readiness, .completion]

    @Test(arguments: models, 1...8)
    func splittingAndJoiningBytesChangesNothing(backend: ScriptedBackend, seed: UInt64) async throws {
        try await withScriptedNetwork(backend) { network in
            network.loop.filterConnections { SplittingFilter(seed: seed) }
            let (reader, writer, peer) = try network.openStreams()
            let sent = (0..<50_000).map { UInt8(truncatingIfNeeded: $0 * 7) }
            peer.takes(atMost: 1_000)
            let writing = network.loop.createTask { try await writer.write(sent) }
            for start in stride(from: 0, to: sent.count, by: 10_000) { peer.sends(Array(sent[start..<start + 10_000])) }
            peer.ends()
            #expect(try await reader.readAll(limitBytes: 1 << 20) == sent)
            try await writing.value
            writer.close()
            try await writer.waitClosed()
            #expect(peer.written == sent)
        }
    }

    @Test(arguments: models)
    func addingAndRemovingAFilterInMidStreamLosesNothing(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let (reader, writer, peer) = try network.openStreams()
            try await writer.write("plain")
            peer.sends("abc")
            #expect(try await reader.readExactly(3) == Array("abc".utf8))
            try await writer.transport.addFilter(InvertingFilter())
            try await writer.write("inverted")
            // Half of these bytes are read before the filter is removed; the others come without it.
            peer.sends(Array("defghi".utf8).map { ~$0 })
            #expect(try await reader.readExactly(6) == Array("defghi".utf8))
            try await writer.transport.removeFilter()
            try await writer.write("plain again")
            peer.sends("jkl")
            #expect(try await reader.readExactly(3) == Array("jkl".utf8))
            #expect(!(writer.transport.driver is FilterStreamDriver))
            await network.idle()
            let expected = Array("plain".utf8) + Array("inverted".utf8).map { ~$0 } + Array("plain again".utf8)
            #expect(peer.written == expected)
            await #expect(throws: EventLoopError.self) { try await writer.transport.removeFilter() }
            writer.close()
        }
    }

    @Test(arguments: models)
    func filtersStack(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let recorder = Recorder()
            let (transport, peer) = try network.connect(recorder)
            await network.idle()
            try await transport.addFilter(InvertingFilter())
            try await transport.addFilter(SplittingFilter(seed: 3))
            transport.write("question")
            peer.sends(Array("answer".utf8).map { ~$0 })
            await network.idle()
            #expect(peer.written == Array("question".utf8).map { ~$0 })
            #expect(recorder.received == Array("answer".utf8))
            try await transport.removeFilter()
            try await transport.removeFilter()
            transport.write("!")
            await network.idle()
            #expect(peer.written.last == UInt8(ascii: "!"))
            transport.close()
        }
    }

    @Test(arguments: models)
    func consumerWaitsUntilTheFilterIsEstablished(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let (reader, writer, peer) = try network.openStreams()
            let adding = network.loop.createTask { try await writer.transport.addFilter(GreetingFilter()) }
            await network.idle()
            #expect(peer.writtenText == "HELLO")
            let writing = network.loop.createTask { try await writer.write("request") }
            peer.sends("HEL")
            await network.idle()
            #expect(peer.writtenText == "HELLO")
            peer.sends("LOanswer\0")
            try await adding.value
            try await writing.value
            #expect(try await reader.readAll(limitBytes: 1 << 20) == Array("answer".utf8))
            writer.close()
            try await writer.waitClosed()
            #expect(peer.writtenText == "HELLOrequest\0")
            #expect(peer.wasClosed)
        }
    }

    @Test(arguments: models)
    func failureOfAFilterIsPrecededByItsAlert(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let (reader, writer, peer) = try network.openStreams()
            let adding = network.loop.createTask { try await writer.transport.addFilter(GreetingFilter()) }
            await network.idle()
            peer.sends("hello")
            let error = await #expect(throws: GreetingFilter.Failure.self) { try await adding.value }
            #expect(error == GreetingFilter.Failure(reason: "no greeting"))
            await #expect(throws: GreetingFilter.Failure.self) { try await reader.readLine() }
            await #expect(throws: GreetingFilter.Failure.self) { try await writer.write("x") }
            await network.idle()
            #expect(peer.writtenText == "HELLOALERT")
            #expect(peer.wasClosed)
        }
    }

    @Test(arguments: models)
    func peerThatDoesNotEstablishTheFilterTimesOut(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let (_, writer, peer) = try network.openStreams()
            let began = network.loop.now
            let error = await #expect(throws: IOError.self) {
                try await writer.transport.addFilter(GreetingFilter(establishmentTimeout: .seconds(3)))
            }
            #expect(error?.errno == .timedOut)
            #expect(began.duration(to: network.loop.now) == .seconds(3))
            await network.idle()
            #expect(peer.wasClosed)
        }
    }

    @Test(arguments: models)
    func cancellingTheWaitForAFilterAbortsTheConnection(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let (_, writer, peer) = try network.openStreams()
            let adding = network.loop.createTask { try await writer.transport.addFilter(GreetingFilter()) }
            await network.idle()
            adding.cancel()
            await #expect(throws: CancellationError.self) { try await adding.value }
            await network.idle()
            #expect(peer.wasClosed)
            #expect(writer.isClosing)
        }
    }

    @Test(arguments: models)
    func missingEndOfTheFilterIsAnError(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let (reader, writer, peer) = try network.openStreams()
            peer.sends("HELLOpart")
            try await writer.transport.addFilter(GreetingFilter())
            peer.ends()
            await #expect(throws: GreetingFilter.Failure(reason: "cut off")) {
                try await reader.readAll(limitBytes: 1 << 20)
            }
            await network.idle()
            #expect(peer.wasClosed)
        }
    }

    @Test(arguments: models)
    func closeSendsTheEndOfTheFilterForABoundedTime(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let (_, writer, peer) = try network.openStreams()
            peer.sends("HELLO")
            try await writer.transport.addFilter(GreetingFilter(finishTimeout: .seconds(2)))
            peer.blocksWrites()
            let began = network.loop.now
            writer.close()
            try await writer.waitClosed()
            #expect(began.duration(to: network.loop.now) == .seconds(2))
            #expect(peer.wasClosed)
        }
    }

    @Test(arguments: models)
    func halfCloseSendsTheEndOfTheFilterBeforeEOF(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let (reader, writer, peer) = try network.openStreams()
            peer.sends("HELLO")
            try await writer.transport.addFilter(GreetingFilter())
            try await writer.write("all")
            try await writer.writeEOF()
            await network.idle()
            #expect(peer.writtenText == "HELLOall\0" && peer.wasShutDown)
            peer.sends("answer\0")
            #expect(try await reader.readAll(limitBytes: 1 << 20) == Array("answer".utf8))
            writer.close()
        }
    }

    /// A filter that makes no progress must not make the loop spin.
    @Test(arguments: models)
    func filterWithoutProgressEndsTheConnection(backend: ScriptedBackend) async throws {
        final class Greedy: StreamFilter {
            func decode(
                _ input: RawSpan, into output: inout OutputRawSpan, replies: inout OutputRawSpan
            ) -> StreamFilterResult { StreamFilterResult(consumedBytes: 0, needsRoom: input.byteCount > 0) }
            func encode(_ input: RawSpan, into output: inout OutputRawSpan) -> StreamFilterResult {
                StreamFilterResult(consumedBytes: 0)
            }
        }
        try await withScriptedNetwork(backend) { network in
            let (reader, writer, peer) = try network.openStreams()
            try await writer.transport.addFilter(Greedy())
            peer.sends("x")
            await #expect(throws: EventLoopError.self) { try await reader.readAll(limitBytes: 1 << 20) }
            await network.idle()
            #expect(peer.wasClosed)
            let (_, other, otherPeer) = try network.openStreams()
            try await other.transport.addFilter(Greedy())
            await #expect(throws: EventLoopError.self) { try await other.write("x") }
            await network.idle()
            #expect(otherPeer.wasClosed)
        }
    }

    @Test(arguments: models)
    func closingTheLoopFreesAConnectionWithAFilter(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend, LoopTestOptions(allowsLeftoverWork: true)) { network in
            let (_, writer, peer) = try network.openStreams()
            peer.sends("HELLO")
            try await writer.transport.addFilter(GreetingFilter())
            peer.blocksWrites()
            try await writer.write("unsent")
        }
    }

    // MARK: Filters of connecting and accepting

    @Test(arguments: TestLoop.all)
    func connectionIsReportedWhenItsFilterIsEstablished(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let serverOptions = ServerOptions(makeFilter: { GreetingFilter() })
            let server = try await loop.startServer(host: "127.0.0.1", port: 0, options: serverOptions) {
                reader, writer in
                try await writer.write(try await reader.readAll(limitBytes: 1_000))
            }
            let options = ConnectionOptions(makeFilter: { GreetingFilter() })
            let (reader, writer) = try await loop.openConnection(host: "127.0.0.1", port: server.port, options: options)
            try await writer.write("request")
            try await writer.writeEOF()
            #expect(try await reader.readAll(limitBytes: 1_000) == Array("request".utf8))
            writer.close()
            try await writer.waitClosed()

            let (transport, recorder) = try await loop.createConnection(
                host: "127.0.0.1", port: server.port, options: options
            ) { Recorder() }
            transport.write("pushed")
            transport.writeEOF()
            await loop.until { recorder.received == Array("pushed".utf8) }
            transport.close()
            server.close()
            try await server.waitClosed()
        }
    }

    /// A client that does not establish its filter costs others nothing, and a server that does not is an error of the
    /// call.
    @Test(arguments: TestLoop.all)
    func connectionWhoseFilterFailsIsClosed(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let serverOptions = ServerOptions(makeFilter: { GreetingFilter() })
            let server = try await loop.createServer(host: "127.0.0.1", port: 0, options: serverOptions) { Recorder() }
            let (reader, writer) = try await loop.openConnection(host: "127.0.0.1", port: server.port)
            try await writer.write("hello")
            #expect(try await reader.readAll(limitBytes: 100) == Array("HELLOALERT".utf8))
            #expect(server.acceptedCount == 0)
            writer.close()
            try await writer.waitClosed()
            server.close()

            let plain = try await loop.startServer(host: "127.0.0.1", port: 0) { reader, writer in
                try await writer.write("hello")
                _ = try? await reader.readAll(limitBytes: 100)
            }
            await #expect(throws: GreetingFilter.Failure(reason: "no greeting")) {
                _ = try await loop.openConnection(
                    host: "127.0.0.1", port: plain.port, options: ConnectionOptions(makeFilter: { GreetingFilter() }))
            }
            plain.close()
            try await plain.waitClosed()
        }
    }
}
