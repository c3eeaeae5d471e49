import AsyncIOTesting
import SystemPackage
import Testing

@testable import AsyncIO

/// What follows a write that sent only some of its bytes.
struct CutOffWriteTests {
    /// More bytes than a completion driver takes from the writer at once.
    private static let message = pattern(300_000)

    // covers: 129, 307
    @Test(arguments: ScriptedBackend.allCases)
    func nothingFollowsTheBytesOfAnIncompleteWrite(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let (_, writer, peer, writing) = try await writeToASlowPeer(network)
            let line = [
                network.loop.createTask { try await writer.write("next") },
                network.loop.createTask { try await writer.write(contentsOf: [pattern(20_000)]) },
                network.loop.createTask { try await writer.writeEOF() },
                network.loop.createTask { try await writer.drain() },
            ]
            await network.idle()
            writing.cancel()
            await #expect(throws: CancellationError.self) { try await writing.value }
            for task in line { #expect(await asyncCode { try await task.value } == .incompleteWrite) }
            let sent = writer.bytesWritten
            peer.unblocksWrites()
            await network.idle()
            // Later writes fail too.
            #expect(await asyncCode { try await writer.write("late") } == .incompleteWrite)
            #expect(await asyncCode { try await writer.write(contentsOf: [pattern(20_000)]) } == .incompleteWrite)
            #expect(await asyncCode { try await writer.drain() } == .incompleteWrite)
            #expect(await asyncCode { try await writer.writeEOF() } == .incompleteWrite)
            await network.idle()
            #expect(peer.written == Array(Self.message[..<sent]))
            #expect(writer.bytesWritten == sent && sent > 0)
            #expect(!peer.wasShutDown && !writer.isClosing)
            writer.close()
            await network.idle()
            #expect(peer.wasClosed)
        }
    }

    // covers: 129
    @Test(arguments: ScriptedBackend.allCases)
    func errorOfAnIncompleteWriteNamesTheSentBytes(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let (_, writer, _, writing) = try await writeToASlowPeer(network)
            writing.cancel()
            _ = await writing.result
            let error = await #expect(throws: EventLoopError.self) { try await writer.write("late") }
            #expect(
                error?.description
                    == "an earlier write ended after \(writer.bytesWritten) of its bytes; "
                    + "closing the connection resets it")
            writer.close()
        }
    }

    /// A scope around the write hides its error, but the count of bytes remains.
    // covers: 129
    @Test(arguments: ScriptedBackend.allCases)
    func bytesWrittenIsKnownAfterATimeout(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let (_, writer, peer) = try network.openStreams()
            await network.idle()
            try await writer.write("whole")
            await network.idle()
            let before = writer.bytesWritten
            #expect(before == 5)
            peer.takes(atMost: 40_000)
            network.loop.callSoon { peer.blocksWrites() }
            let code = await asyncCode {
                try await withTimeout(.milliseconds(200)) { try await writer.write(Self.message) }
            }
            #expect(code == .timedOut)
            #expect(0 < writer.bytesWritten - before && writer.bytesWritten - before < Self.message.count)
            peer.unblocksWrites()
            await network.idle()
            #expect(peer.written.count == writer.bytesWritten)
            writer.close()
        }
    }

    // covers: 129
    @Test(arguments: ScriptedBackend.allCases)
    func taskOfThePoolCanLeaveAWriteIncomplete(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend, patiently) { network in
            let (_, writer, peer) = try network.openStreams()
            await network.idle()
            peer.takes(atMost: 40_000)
            nonisolated(unsafe) let shared = writer
            let writing = Task.detached {
                do { try await shared.write(Self.message) } catch { return (error, shared.bytesWritten) }
                return (EventLoopError(.busy, "it was not cut off"), 0)
            }
            while writer.bytesWritten == 0 { await network.loop.yield() }
            peer.blocksWrites()
            await network.idle()
            writing.cancel()
            let (error, count) = await writing.value
            #expect(error is CancellationError)
            #expect(0 < count && count < Self.message.count && count == writer.bytesWritten)
            #expect(await asyncCode { try await writer.write("late") } == .incompleteWrite)
            writer.close()
        }
    }

    // covers: 129
    @Test(arguments: ScriptedBackend.allCases)
    func readingContinuesAfterAnIncompleteWrite(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let (reader, writer, peer, writing) = try await writeToASlowPeer(network)
            writing.cancel()
            _ = await writing.result
            peer.sends("slow down\n")
            #expect(try await reader.readLine() == "slow down")
            peer.ends()
            #expect(try await reader.readLine() == nil)
            await network.idle()
            #expect(!peer.wasClosed)
            writer.close()
            await network.idle()
            #expect(peer.wasClosed)
        }
    }

    /// The peer has received nothing of the write.
    // covers: 129
    @Test(arguments: ScriptedBackend.allCases)
    func writeThatSentNothingLeavesTheConnectionUsable(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let (_, writer, peer) = try network.openStreams()
            await network.idle()
            peer.blocksWrites()
            // The first write, so that a completion driver takes nothing of the next one.
            let first = network.loop.createTask { try await writer.write(Self.message) }
            let second = network.loop.createTask { try await writer.write("never") }
            await network.idle()
            second.cancel()
            await #expect(throws: CancellationError.self) { try await second.value }
            peer.unblocksWrites()
            try await first.value
            try await writer.write("next")
            try await writer.writeEOF()
            await network.idle()
            #expect(peer.written == Self.message + Array("next".utf8))
            #expect(!writer.transport.driver.resetsOnClose)
            writer.close()
        }
    }

    // covers: 129, 146
    @Test(arguments: ScriptedBackend.allCases)
    func transportSendsNothingAfterAnIncompleteWrite(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend, LoopTestOptions(unhandledErrors: 1)) { network in
            let (_, writer, peer, writing) = try await writeToASlowPeer(network)
            writing.cancel()
            _ = await writing.result
            writer.transport.write("in the middle")
            writer.transport.write(contentsOf: [pattern(20_000)])
            peer.unblocksWrites()
            await network.idle()
            #expect(peer.written.count == writer.bytesWritten)
            // EOF would mean that the message is complete.
            writer.transport.writeEOF()
            await network.idle()
            #expect(peer.wasClosed && writer.transport.driver.resetsOnClose)
        }
    }

    /// All ways to close a connection, and other events that end it.
    enum End: CaseIterable {
        case close, closeGracefully, abort, transportClose, dropped, loopClosed
    }

    // covers: 129, 141
    @Test(arguments: ScriptedBackend.allCases, End.allCases)
    func everyCloseAfterAnIncompleteWriteResetsTheConnection(backend: ScriptedBackend, end: End) async throws {
        try await withScriptedNetworkThread(backend) { network in
            let ending = Ending()
            let writing = network.loop.createTask {
                let (reader, writer, peer) = try network.openStreams()
                ending.peer = peer
                ending.driver = writer.transport.driver
                peer.takes(atMost: 40_000)
                network.loop.callSoon { peer.blocksWrites() }
                try? await withTimeout(.milliseconds(200)) { try await writer.write(Self.message) }
                switch end {
                case .close: writer.close()
                case .closeGracefully: writer.closeGracefully()
                case .abort: writer.abort()
                case .transportClose: writer.transport.close()
                case .dropped: break
                case .loopClosed: ending.streams = (reader, writer)
                }
            }
            network.loop.callLater(after: .seconds(1)) { network.loop.stop() }
            try network.loop.runForever()
            #expect(ending.peer?.wasClosed == (end != .loopClosed))
            try network.loop.close()
            #expect(ending.peer?.wasClosed == true)
            #expect(ending.driver?.resetsOnClose == true)
            (ending.driver, ending.streams) = (nil, nil)
            withExtendedLifetime(writing) {}
        }
    }

    private final class Ending {
        var peer: ScriptedPeer?
        var driver: StreamDriver?
        var streams: (StreamReader, StreamWriter)?
    }

    /// The discarded bytes are a part of a message that the peer has not received.
    // covers: 146
    @Test(arguments: ScriptedBackend.allCases, [false, true])
    func abortThatDiscardsBytesIsAReset(backend: ScriptedBackend, isFlushed: Bool) async throws {
        try await withScriptedNetwork(backend) { network in
            let (transport, peer) = try network.connect(Recorder())
            await network.idle()
            if !isFlushed { peer.blocksWrites() }
            transport.write(Self.message)
            await network.idle()
            transport.abort()
            #expect(transport.driver.resetsOnClose == !isFlushed)
            await network.idle()
            #expect(peer.wasClosed)
        }
    }

    enum ServerEnd: CaseIterable {
        case handlerReturns, handlerIsCancelled, closeClients, abortClients
    }

    // covers: 129, 309
    @Test(arguments: TestLoop.allAndFiltered, ServerEnd.allCases)
    func clientGetsAResetInsteadOfEOF(kind: TestLoop, end: ServerEnd) async throws {
        try await withLoop(kind) { loop in
            var wasCutOff = false
            let server = try await loop.startServer(host: "127.0.0.1", port: 0) { reader, writer in
                _ = try await reader.readLine()
                try await cutOff(loop, writer)
                wasCutOff = true
                if end == .handlerIsCancelled { throw CancellationError() }
                if end != .handlerReturns { _ = try await reader.readLine() }
            }
            let (reader, writer) = try await loop.openConnection(host: "127.0.0.1", port: server.port)
            try await writer.write("go\n")
            await loop.until { wasCutOff }
            if end == .closeClients { server.closeClients() }
            if end == .abortClients { server.abortClients() }
            await loop.until { server.connectionCount == 0 }
            let error = await #expect(throws: IOError.self) { try await reader.readToEnd() }
            #expect(error?.errno == .connectionReset)
            server.close()
        }
    }

    enum ClientEnd: CaseIterable {
        case close, closeGracefully, abort, dropped, scopeReturns, scopeThrows
    }

    // A filter is a source of its own, and this test counts sources.
    // covers: 129, 309
    @Test(arguments: TestLoop.all, ClientEnd.allCases)
    func serverGetsAResetInsteadOfEOF(kind: TestLoop, end: ClientEnd) async throws {
        try await withLoop(kind) { loop in
            var isOver = false
            var failure: (any Error)?
            let server = try await loop.startServer(host: "127.0.0.1", port: 0) { reader, _ in
                while !isOver { await loop.yield() }
                do { _ = try await reader.readToEnd() } catch { failure = error }
            }
            try await writeAndEnd(loop, server.port, end)
            await loop.until { server.acceptedCount == 1 && loop.statistics.sources == 2 }
            isOver = true
            await loop.until { server.connectionCount == 0 }
            #expect((failure as? IOError)?.errno == .connectionReset)
            server.close()
        }
    }

    private func writeAndEnd(_ loop: EventLoop, _ port: UInt16, _ end: ClientEnd) async throws {
        struct ExampleError: Error {}
        switch end {
        case .scopeReturns:
            try await loop.withConnection(host: "127.0.0.1", port: port) { _, writer in try await cutOff(loop, writer) }
        case .scopeThrows:
            await #expect(throws: ExampleError.self) {
                try await loop.withConnection(host: "127.0.0.1", port: port) { _, writer in
                    try await cutOff(loop, writer)
                    throw ExampleError()
                }
            }
        default:
            let (_, writer) = try await loop.openConnection(host: "127.0.0.1", port: port)
            try await cutOff(loop, writer)
            switch end {
            case .close: writer.close()
            case .closeGracefully: writer.closeGracefully()
            case .abort: writer.abort()
            default: break
            }
        }
    }

    /// Starts a task that writes and waits for a peer that reads only a part.
    private func writeToASlowPeer(
        _ network: ScriptedNetwork
    ) async throws -> (StreamReader, StreamWriter, ScriptedPeer, Task<Void, any Error>) {
        let (reader, writer, peer) = try network.openStreams()
        await network.idle()
        peer.takes(atMost: 40_000)
        let writing = network.loop.createTask(eagerStart: true) { try await writer.write(Self.message) }
        peer.blocksWrites()
        await network.idle()
        return (reader, writer, peer, writing)
    }
}

/// Cancels a write after the kernel has accepted some of its bytes, for a peer that does not read.
private func cutOff(_ loop: EventLoop, _ writer: StreamWriter) async throws {
    let before = writer.bytesWritten
    let writing = loop.createTask(eagerStart: true) { try await writer.write(much) }
    writing.cancel()
    await #expect(throws: CancellationError.self) { try await writing.value }
    let sent = writer.bytesWritten - before
    #expect(0 < sent && sent < much.count)
}

/// More bytes than the buffers of the kernel accept for a peer that does not read.
private let much = pattern(50 << 20)
