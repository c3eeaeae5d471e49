import AsyncIOTesting
import SystemPackage
import Testing

@testable import AsyncIO

/// No peer can hold a connection that this side has closed, or whose streams were released.
struct BoundedCloseTests {
    enum Before: CaseIterable {
        case nothing, close, transportClose
    }

    /// No code could abort the connection any more.
    // covers: 36, F12
    @Test(arguments: ScriptedBackend.allCases, Before.allCases)
    func releasedStreamsWithUnsentBytesAreResetAfterFiveSeconds(backend: ScriptedBackend, before: Before) async throws {
        try await withScriptedNetwork(backend) { network in
            let (peer, driver) = try await writeAndDropStreams(network, before)
            try await network.loop.sleep(for: .milliseconds(4_999))
            #expect(!peer.wasClosed)
            try await network.loop.sleep(for: .milliseconds(2))
            await network.idle()
            #expect(peer.wasClosed && driver.resetsOnClose)
            #expect(network.loop.statistics.sources == 0)
        }
    }

    // covers: 36
    @Test(arguments: ScriptedBackend.allCases)
    func slowlyReadingPeerCannotHoldReleasedStreams(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let (peer, driver) = try await writeAndDropStreams(network, .nothing)
            peer.takes(atMost: 10)
            for _ in 0..<6 {
                await takeSome(peer, network)
                try await network.loop.sleep(for: .milliseconds(990))
            }
            #expect(peer.wasClosed && driver.resetsOnClose)
        }
    }

    // covers: 36
    @Test(arguments: ScriptedBackend.allCases)
    func releasedStreamsWhoseBytesAreSentInTimeEndInOrder(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let (peer, driver) = try await writeAndDropStreams(network, .nothing)
            try await network.loop.sleep(for: .milliseconds(4_900))
            peer.unblocksWrites()
            await network.idle()
            #expect(peer.written == Self.message)
            #expect(peer.wasClosed && !driver.resetsOnClose)
        }
    }

    /// A graceful close has its own bound, which also applies when the streams are released.
    // covers: F12
    @Test(arguments: ScriptedBackend.allCases)
    func gracefulCloseEndsAfterItsOwnTimeLimit(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let (peer, driver) = try await writeAndDropStreams(network) { $0.closeGracefully(within: .seconds(9)) }
            try await network.loop.sleep(for: .milliseconds(8_999))
            #expect(!peer.wasClosed)
            try await network.loop.sleep(for: .milliseconds(2))
            await network.idle()
            #expect(peer.wasClosed && driver.resetsOnClose)
        }
    }

    enum End: CaseIterable {
        case close, peerEOF
    }

    // covers: 141, F12
    @Test(arguments: ScriptedBackend.allCases, End.allCases)
    func peerThatReadsNothingForAMinuteIsReset(backend: ScriptedBackend, end: End) async throws {
        try await withScriptedNetwork(backend) { network in
            let recorder = Recorder()
            let (transport, peer) = try network.connect(recorder)
            await network.idle()
            peer.blocksWrites()
            transport.write("left")
            switch end {
            case .close: transport.close()
            case .peerEOF: peer.ends()
            }
            try await network.loop.sleep(for: .milliseconds(59_999))
            #expect(!peer.wasClosed && transport.isClosing)
            try await network.loop.sleep(for: .milliseconds(2))
            await network.idle()
            #expect(peer.wasClosed && transport.driver.resetsOnClose)
            #expect(recorder.events.last == .lost(.io(.timedOut)))
        }
    }

    // covers: 141
    @Test(arguments: ScriptedBackend.allCases)
    func peerThatReadsSlowlyReceivesEverything(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let recorder = Recorder()
            let (transport, peer) = try network.connect(recorder)
            await network.idle()
            peer.blocksWrites()
            peer.takes(atMost: 10)
            transport.write(Self.message)
            transport.close()
            for _ in 0..<5 {
                await takeSome(peer, network)
                try await network.loop.sleep(for: .seconds(59))
                #expect(!peer.wasClosed)
            }
            peer.takes(atMost: nil)
            peer.unblocksWrites()
            await network.idle()
            #expect(peer.written == Self.message)
            #expect(peer.wasClosed && !transport.driver.resetsOnClose)
            #expect(recorder.events.last == .lost(nil))
        }
    }

    // covers: 132, 141
    @Test(arguments: ScriptedBackend.allCases)
    func pendingWriteFailsWhenTheCloseGivesUp(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let (_, writer, peer) = try network.openStreams()
            await network.idle()
            peer.blocksWrites()
            let writing = network.loop.createTask(eagerStart: true) { try await writer.write(Self.message) }
            await network.idle()
            writer.close()
            let closing = network.loop.createTask { try await writer.waitClosed() }
            try await network.loop.sleep(for: .milliseconds(60_001))
            for task in [writing, closing] {
                let error = await #expect(throws: IOError.self) { try await task.value }
                #expect(error?.errno == .timedOut)
            }
            #expect(peer.wasClosed)
        }
    }

    /// More bytes than a completion driver buffers.
    private static let message = pattern(300_000)

    private func writeAndDropStreams(
        _ network: ScriptedNetwork, _ before: Before
    ) async throws -> (ScriptedPeer, StreamDriver) {
        try await writeAndDropStreams(network) { writer in
            switch before {
            case .nothing: break
            case .close: writer.close()
            case .transportClose: writer.transport.close()
            }
        }
    }

    private func writeAndDropStreams(
        _ network: ScriptedNetwork, _ before: (StreamWriter) -> Void
    ) async throws -> (ScriptedPeer, StreamDriver) {
        let (_, writer, peer) = try network.openStreams()
        await network.idle()
        peer.blocksWrites()
        writer.transport.write(Self.message)
        before(writer)
        return (peer, writer.transport.driver)
    }

    /// Lets the peer's kernel accept a few bytes.
    private func takeSome(_ peer: ScriptedPeer, _ network: ScriptedNetwork) async {
        let before = peer.written.count
        peer.unblocksWrites()
        await network.loop.until { peer.written.count > before }
        peer.blocksWrites()
    }
}
