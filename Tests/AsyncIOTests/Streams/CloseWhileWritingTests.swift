import AsyncIO
import AsyncIOTesting
import SystemPackage
import Testing

/// A write while another task, or the program's end, closes its connection.
struct CloseWhileWritingTests {
    /// More bytes than a completion driver takes from the writer at once.
    private static let message = pattern(300_000)

    // covers: 132, 141, 307
    @Test(arguments: ScriptedBackend.allCases)
    func closeLetsTheCurrentWriteFinish(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let (reader, writer, peer, writing) = try await writeToASlowPeer(network)
            let reading = network.loop.createTask { try await reader.readLine() }
            let next = network.loop.createTask { try await writer.write("next") }
            let others = [writer.drain, writer.writeEOF].map { wait in network.loop.createTask { try await wait() } }
            await network.idle()
            writer.close()
            writer.close()
            #expect(writer.isClosing)
            // Other operations are not waited for, and no later write overtakes.
            #expect(await asyncCode { _ = try await reading.value } == .connectionClosed)
            let refused = network.loop.createTask { try await writer.write("refused") }
            for task in [next, refused] {
                let error = await #expect(throws: EventLoopError.self) { try await task.value }
                #expect(error?.code == .connectionClosed)
            }
            for other in others { #expect(await asyncCode { try await other.value } == .connectionClosed) }
            #expect(await asyncCode { try await writer.drain() } == .connectionClosed)
            var isClosed = false
            let closing = network.loop.createTask {
                try await writer.waitClosed()
                isClosed = true
            }
            await network.idle()
            #expect(!isClosed && !peer.wasShutDown)
            peer.takes(atMost: 10_000)
            peer.unblocksWrites()
            try await writing.value
            try await closing.value
            #expect(peer.written == Self.message)
            #expect(peer.wasClosed)
        }
    }

    // covers: 141
    @Test(arguments: ScriptedBackend.allCases)
    func bytesQueuedBeforeAWriteAreSentToo(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let (_, writer, peer) = try network.openStreams()
            await network.idle()
            peer.blocksWrites()
            writer.transport.write(Self.message)
            let writing = network.loop.createTask { try await writer.write(Self.message) }
            await network.idle()
            writer.close()
            peer.takes(atMost: 40_000)
            peer.unblocksWrites()
            try await writing.value
            try await writer.waitClosed()
            #expect(peer.written == Self.message + Self.message)
            #expect(peer.wasClosed)
        }
    }

    enum End: CaseIterable {
        case abort, reset, cancellation, loss
    }

    // covers: 132
    @Test(arguments: ScriptedBackend.allCases, End.allCases)
    func currentWriteOfAClosingConnectionCanBeCancelled(backend: ScriptedBackend, end: End) async throws {
        try await withScriptedNetwork(backend) { network in
            let (_, writer, peer, writing) = try await writeToASlowPeer(network)
            writer.close()
            await network.idle()
            #expect(!peer.wasClosed)
            switch end {
            case .abort: writer.abort()
            case .reset: writer.reset()
            case .cancellation: writing.cancel()
            case .loss: peer.resets()
            }
            let error = await #expect(throws: (any Error).self) { try await writing.value }
            switch end {
            case .abort, .reset: #expect((error as? EventLoopError)?.code == .connectionClosed)
            case .cancellation: #expect(error is CancellationError)
            case .loss: #expect((error as? IOError)?.errno == .connectionReset)
            }
            await network.idle()
            #expect(peer.wasClosed && writer.isClosing)
            #expect(network.loop.statistics.sources == 0)
        }
    }

    /// The connection ends when both have ended: the write and the time limit.
    // covers: F12
    @Test(arguments: ScriptedBackend.allCases, [false, true])
    func lingeringCloseLetsTheCurrentWriteFinish(backend: ScriptedBackend, isInTime: Bool) async throws {
        try await withScriptedNetwork(backend) { network in
            let (_, writer, peer, writing) = try await writeToASlowPeer(network)
            writer.transport.closeGracefully(within: .seconds(3))
            peer.takes(atMost: 40_000)
            try await network.loop.sleep(for: .milliseconds(2_999))
            #expect(!peer.wasShutDown)
            if isInTime {
                peer.unblocksWrites()
                try await writing.value
                await network.idle()
                #expect(peer.written == Self.message)
                #expect(peer.wasShutDown && !peer.wasClosed)
                peer.ends()
            } else {
                try await network.loop.sleep(for: .milliseconds(2))
                let error = await #expect(throws: EventLoopError.self) { try await writing.value }
                #expect(error?.code == .connectionClosed)
            }
            await network.idle()
            #expect(peer.wasClosed)
        }
    }

    // covers: 34
    @Test(arguments: ScriptedBackend.allCases)
    func closingTheLoopEndsTheCurrentWriteOfAClosingConnection(backend: ScriptedBackend) async throws {
        try await withScriptedNetworkThread(backend) { network in
            let (_, writer, peer) = try network.openStreams()
            peer.blocksWrites()
            nonisolated(unsafe) var failure: (any Error)?
            // SAFETY: used on the loop only.
            nonisolated(unsafe) let sent = writer
            // Not with `createTask`, because the loop could not be closed.
            Task.detached(executorPreference: network.loop) {
                do { try await sent.write(Self.message) } catch { failure = error }
            }
            network.whenIdle { writer.close() }
            network.whenIdle { network.loop.stop() }
            try network.loop.runForever()
            #expect(writer.isClosing && !peer.wasClosed)
            try network.loop.close()
            #expect(peer.wasClosed)
            #expect((failure as? EventLoopError)?.code == .closed)
        }
    }

    // covers: 153, 307
    @Test(arguments: ScriptedBackend.allCases)
    func writeEOFWaitsForEarlierWrites(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let (_, writer, peer, writing) = try await writeToASlowPeer(network)
            let second = network.loop.createTask { try await writer.write("second") }
            await network.idle()
            let cancelled = network.loop.createTask { try await writer.writeEOF() }
            let ending = network.loop.createTask { try await writer.writeEOF() }
            await network.idle()
            let late = network.loop.createTask { try await writer.write("late") }
            await network.idle()
            cancelled.cancel()
            await #expect(throws: CancellationError.self) { try await cancelled.value }
            #expect(!peer.wasShutDown)
            peer.takes(atMost: 40_000)
            peer.unblocksWrites()
            for task in [writing, second, ending] { try await task.value }
            let error = await #expect(throws: EventLoopError.self) { try await late.value }
            #expect(error?.code == .connectionClosed)
            await network.idle()
            #expect(peer.written == Self.message + Array("second".utf8))
            #expect(peer.wasShutDown && !peer.wasClosed)
            writer.close()
        }
    }

    /// What the first program of the README does on Ctrl-C.
    // covers: 141, 309
    @Test(arguments: TestLoop.allAndFiltered)
    func clientsOfAClosingServerGetTheWholeMessage(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let (server, writing, reader, writer) = try await serveMuch(loop)
            server.close()
            server.closeClients()
            #expect(server.connectionCount == 1)
            #expect(try await reader.readToEnd() == much)
            try await writing.value
            try await server.waitClosed()
            writer.close()
        }
    }

    // covers: 129, 309
    @Test(arguments: TestLoop.allAndFiltered)
    func writeCancelledWhileClosingSendsNoEOF(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let (server, writing, reader, writer) = try await serveMuch(loop)
            server.close()
            server.closeClients()
            writing.cancel()
            await #expect(throws: CancellationError.self) { try await writing.value }
            try await server.waitClosed()
            let failure = await #expect(throws: IOError.self) { try await reader.readToEnd() }
            #expect(failure?.errno == .connectionReset)
            writer.close()
        }
    }

    // covers: 153
    @Test(arguments: TestLoop.allAndFiltered)
    func eofFollowsTheWholeMessage(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let (server, writing, reader, writer) = try await serveMuch(loop, endsWriting: true)
            #expect(try await reader.readToEnd() == much)
            try await writing.value
            writer.close()
            server.close()
            try await server.waitClosed()
        }
    }

    /// Connects to a server whose task writes `much`, and waits for the client, which has read nothing.
    ///
    /// - Parameter endsWriting: Whether the handler of the connection shuts down the write side meanwhile.
    private func serveMuch(
        _ loop: EventLoop, endsWriting: Bool = false
    ) async throws -> (Server, Task<Void, any Error>, StreamReader, StreamWriter) {
        var writing: Task<Void, any Error>?
        var hasSmallBuffers = false
        let server = try await loop.startServer(host: "127.0.0.1", port: 0) { _, writer in
            while !hasSmallBuffers { await loop.yield() }
            writing = loop.createTask(eagerStart: true) { try await writer.write(much) }
            if endsWriting { try await writer.writeEOF() }
            _ = try? await writing?.value
        }
        try server.sockets[0].setOption(.sendBufferBytes, to: 64 * 1024)
        let (reader, writer) = try await loop.openConnection(host: "127.0.0.1", port: server.port)
        try writer.transport.socket.setOption(.receiveBufferBytes, to: 64 * 1024)
        hasSmallBuffers = true
        await loop.until { writing != nil }
        return (server, writing!, reader, writer)
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

/// More bytes than small buffers of the kernel accept for a peer that does not read.
private let much = pattern(4 << 20)
