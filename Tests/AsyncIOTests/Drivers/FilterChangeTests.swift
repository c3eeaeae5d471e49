import AsyncIO
import AsyncIOSystem
import AsyncIOTesting
import SystemPackage
import Testing

@testable import AsyncIO

/// Connections that end, or get and lose a filter, while bytes are on their way.
struct FilterChangeTests {
    private static let models = [ScriptedBackend.readiness, .completion]

    @Test(arguments: models)
    func endOfTheConnectionEndsTheWaitForAFilter(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            for end in [StreamWriter.close, StreamWriter.abort, StreamWriter.reset] {
                let (_, writer, peer) = try network.openStreams()
                let adding = network.loop.createTask {
                    try await writer.transport.addFilter(GreetingFilter(establishmentTimeout: nil))
                }
                await network.idle()
                end(writer)()
                let error = await #expect(throws: EventLoopError.self) { try await adding.value }
                #expect(error?.code == .connectionClosed)
                await network.idle()
                #expect(peer.wasClosed)
            }
        }
    }

    /// The write side is shut down, so a reply could only fail.
    @Test(arguments: models)
    func replyAfterAHalfCloseIsDropped(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let (reader, writer, peer) = try network.openStreams()
            try await writer.transport.addFilter(RepeatingFilter())
            try await writer.writeEOF()
            await network.idle()
            peer.failsNextSend(with: .brokenPipe)
            peer.sends("answer")
            #expect(try await reader.readExactly(6) == Array("answer".utf8))
            try await writer.transport.removeFilter()
            peer.sends("!")
            #expect(try await reader.readExactly(1) == Array("!".utf8))
            await network.idle()
            #expect(peer.written.isEmpty)
            writer.close()
            try await writer.waitClosed()
        }
    }

    @Test(arguments: models)
    func removalOfAFilterDeliversWhatItHasRetained(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let (reader, writer, peer) = try network.openStreams()
            try await writer.transport.addFilter(HoardingFilter(consumes: 6))
            peer.sends("abcdefghij")
            // The filter holds five decoded bytes, and has not consumed four.
            #expect(try await reader.readExactly(1) == Array("a".utf8))
            try await writer.transport.removeFilter()
            let rest = network.loop.createTask { try await reader.readExactly(9) }
            await network.idle()
            #expect(try await rest.value == Array("bcdefghij".utf8))
            writer.close()
        }
    }

    @Test(arguments: models)
    func removalOfAFilterWakesTheTaskThatWaits(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let (reader, writer, peer) = try network.openStreams()
            try await writer.transport.addFilter(HoardingFilter(consumes: 0))
            let reading = network.loop.createTask { try await reader.readExactly(3) }
            peer.sends("abc")
            await network.idle()
            try await writer.transport.removeFilter()
            #expect(try await reading.value == Array("abc".utf8))
            writer.close()
        }
    }

    @Test(arguments: models)
    func removingTwiceRemovesTwoFilters(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let (reader, writer, peer) = try network.openStreams()
            try await writer.transport.addFilter(InvertingFilter())
            // It does not consume, so its driver stays until that is read.
            try await writer.transport.addFilter(HoardingFilter(consumes: 0))
            peer.sends(Array("abc".utf8).map { ~$0 })
            let reading = network.loop.createTask { try await reader.readExactly(3) }
            await network.idle()
            try await writer.transport.removeFilter()
            try await writer.transport.removeFilter()
            #expect(try await reading.value == Array("abc".utf8))
            await #expect(throws: EventLoopError.self) { try await writer.transport.removeFilter() }
            try await writer.write("plain")
            await network.idle()
            #expect(peer.writtenText == "plain")
            writer.close()
        }
    }

    @Test(arguments: models)
    func alertOfAnEstablishedFilterIsSent(backend: ScriptedBackend) async throws {
        final class Alarm: StreamFilter {
            func decode(
                _ input: RawSpan, into output: inout OutputRawSpan, replies: inout OutputRawSpan
            ) throws -> StreamFilterResult {
                if input.byteCount == 0 { return StreamFilterResult(consumedBytes: 0) }
                for byte in Array("ALERT".utf8) { replies.append(byte) }
                throw GreetingFilter.Failure(reason: "alarm")
            }
            func encode(_ input: RawSpan, into output: inout OutputRawSpan) -> StreamFilterResult {
                StreamFilterResult(consumedBytes: input.byteCount)
            }
        }
        try await withScriptedNetwork(backend) { network in
            let (reader, writer, peer) = try network.openStreams()
            try await writer.transport.addFilter(Alarm())
            peer.sends("x")
            await #expect(throws: GreetingFilter.Failure.self) { try await reader.readLine() }
            await network.idle()
            #expect(peer.writtenText == "ALERT")
            #expect(peer.wasClosed)
        }
    }

    /// The descriptor is closed by the first failed send: its number may be another file's by the second.
    @Test(arguments: TestLoop.all)
    func filterThatHasMoreToSendSendsNothingOnAClosedDescriptor(kind: TestLoop) async throws {
        final class BrokenPipe: SystemCalls {
            var sends = 0

            func send(_ socket: Socket, _ bytes: UnsafeRawBufferPointer) -> IOResult {
                sends += 1
                return .failed(.brokenPipe)
            }
        }
        try await withLoop(kind) { loop in
            let (near, far) = try Socket.pair()
            let calls = BrokenPipe()
            let (_, writer) = try await loop.openConnection(to: .socket(near))
            try await writer.transport.addFilter(HalvingFilter())
            loop.replaceSystemCalls(by: calls)
            await #expect(throws: IOError.self) {
                try await writer.write([UInt8](repeating: 1, count: 10_000))
                try await writer.drain()
            }
            #expect(calls.sends == 1)
            far.close()
        }
    }

    @Test(arguments: models)
    func filterMayBeAddedWithinDataReceived(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let recorder = Recorder()
            let (transport, peer) = try network.connect(recorder)
            recorder.reaction = { event, transport in
                guard event == .data("ready") else { return }
                network.loop.createBackgroundTask(eagerStart: true) {
                    try await transport.addFilter(GreetingFilter())
                }
            }
            await network.idle()
            peer.sends("ready")
            await network.idle()
            #expect(peer.writtenText == "HELLO")
            peer.sends("HELLOsecret")
            await network.idle()
            #expect(recorder.received == Array("readysecret".utf8))
            transport.close()
        }
    }

    @Test(arguments: TestLoop.all)
    func serverEndsConnectionsThatAreNotEstablished(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            for end in [Server.close, Server.abortClients] {
                let options = ServerOptions(makeFilter: { GreetingFilter(establishmentTimeout: nil) })
                let server = try await loop.createServer(host: "127.0.0.1", port: 0, options: options) { Recorder() }
                let (reader, writer) = try await loop.openConnection(host: "127.0.0.1", port: server.port)
                #expect(try await reader.readExactly(5) == Array("HELLO".utf8))
                end(server)()
                #expect(try await reader.readAll(limitBytes: 100).isEmpty)
                writer.close()
                try await writer.waitClosed()
                server.close()
                try await server.waitClosed()
            }
        }
    }
}
