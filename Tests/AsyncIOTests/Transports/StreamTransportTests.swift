import AsyncIOTesting
import SystemPackage
import Testing

@testable import AsyncIO

/// The life of a connection in push style, with the same results on readiness and on completion.
struct StreamTransportTests {
    // covers: 138, 139
    @Test(arguments: ScriptedBackend.allCases)
    func connectionMadeIsCalledFirstAndConnectionLostLast(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let recorder = Recorder()
            let (_, peer) = try network.connect(recorder)
            peer.sends("hello")
            peer.ends()
            #expect(recorder.events.isEmpty)
            await network.idle()
            #expect(recorder.events == [.made, .data("hello"), .end, .lost(nil)])
            #expect(peer.wasClosed)
        }
    }

    /// Reading begins a callback later, as in asyncio.
    // covers: 138
    @Test(arguments: ScriptedBackend.allCases)
    func callbackScheduledByConnectionMadeRunsBeforeTheData(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let recorder = Recorder()
            let (transport, peer) = try network.connect(recorder)
            peer.sends("here already")
            var scheduled: [Recorder.Event]?
            recorder.reaction = { event, _ in
                if event == .made { network.loop.callSoon { scheduled = recorder.events } }
            }
            await network.idle()
            #expect(scheduled == [.made])
            #expect(recorder.events == [.made, .data("here already")])
            transport.close()
        }
    }

    // covers: 138, 140
    @Test(arguments: ScriptedBackend.allCases)
    func connectionThatEndsBeforeItWasReportedIsStillReported(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let aborted = Recorder()
            let closed = Recorder()
            try network.connect(aborted).transport.abort()
            try network.connect(closed).transport.close()
            await network.idle()
            #expect(aborted.events == [.made, .lost(nil)])
            #expect(closed.events == [.made, .lost(nil)])
        }
    }

    // covers: 140
    @Test(arguments: ScriptedBackend.allCases)
    func endingInAnyOrderCallsConnectionLostOnce(backend: ScriptedBackend) async throws {
        let endings: [@Sendable (StreamTransport, ScriptedPeer) -> Void] = [
            { transport, _ in transport.close() }, { transport, _ in transport.abort() },
            { _, peer in peer.resets() }, { _, peer in peer.ends() }, { transport, _ in transport.writeEOF() },
        ]
        for first in endings {
            for second in endings {
                for third in endings {
                    let actions = [first, second, third]
                    let losses = try await withScriptedNetwork(backend) { network in
                        let recorder = Recorder()
                        let (transport, peer) = try network.connect(recorder)
                        peer.blocksWrites()
                        await network.idle()
                        transport.write("left over")
                        for action in actions { action(transport, peer) }
                        await network.idle()
                        transport.abort()
                        await network.idle()
                        #expect(peer.wasClosed)
                        return recorder.events.filter { if case .lost = $0 { true } else { false } }.count
                    }
                    #expect(losses == 1)
                }
            }
        }
    }

    // covers: 139, F11
    @Test(arguments: ScriptedBackend.allCases)
    func bytesBeforeAResetAreDeliveredBeforeTheError(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend, LoopTestOptions(unhandledErrors: 1)) { network in
            let recorder = Recorder()
            let (transport, peer) = try network.connect(recorder)
            await network.idle()
            peer.sends("last words")
            peer.resets()
            await network.idle()
            #expect(recorder.events == [.made, .data("last words"), .lost(.io(.connectionReset))])
            #expect(peer.wasClosed)
            transport.write("nobody reads this, which is reported")
            transport.close()
        }
    }

    // covers: 156, 168, F19
    @Test(arguments: ScriptedBackend.allCases, Recorder.Method.allCases)
    func methodThatThrowsEndsOnlyItsConnection(backend: ScriptedBackend, method: Recorder.Method) async throws {
        // The write after `connectionMade` has failed is discarded.
        let options = LoopTestOptions(unhandledErrors: method == .connectionMade ? 2 : 1)
        try await withScriptedNetwork(backend, options) { network in
            let failing = Recorder()
            failing.failing = method
            failing.staysOpen = true
            let other = Recorder()
            let (transport, peer) = try network.connect(failing)
            let (otherTransport, otherPeer) = try network.connect(other)
            try transport.setWriteBufferLimits(lowBytes: 2, highBytes: 4)
            peer.blocksWrites()
            await network.idle()
            transport.write("123456")
            peer.sends("data")
            await network.idle()
            peer.unblocksWrites()
            await network.idle()
            peer.ends()
            await network.idle()
            transport.close()
            await network.idle()
            #expect(failing.events.last == .lost(method == .connectionLost ? nil : .example))
            #expect(failing.events.filter { if case .lost = $0 { true } else { false } }.count == 1)
            #expect(peer.wasClosed)

            otherPeer.sends("still here")
            await network.idle()
            #expect(other.events == [.made, .data("still here")])
            otherTransport.close()
        }
    }

    // covers: 158
    @Test(arguments: ScriptedBackend.allCases)
    func newProtocolReceivesTheFollowingBytes(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let first = Recorder()
            let second = Recorder()
            let (transport, peer) = try network.connect(first)
            peer.sends("for the first")
            await network.idle()
            transport.setProtocol(second)
            #expect(transport.protocol === second)
            peer.sends("for the second")
            peer.ends()
            await network.idle()
            #expect(first.events == [.made, .data("for the first")])
            #expect(second.events == [.data("for the second"), .end, .lost(nil)])
        }
    }

    /// Nothing else retains it, and its call goes on.
    // covers: 150, 158
    @Test(arguments: ScriptedBackend.allCases)
    func protocolMayReplaceItselfWhileItIsCalled(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let next = Recorder()
            var texts: [String] = []
            weak var replaced: Replacing?
            func connect() throws -> ScriptedPeer {
                let replacing = Replacing(by: next) { texts.append($0) }
                replaced = replacing
                return try network.connect(replacing).peer
            }
            let peer = try connect()
            peer.sends("first")
            await network.idle()
            #expect(texts == ["first"])
            #expect(replaced == nil)
            peer.sends("second")
            peer.ends()
            await network.idle()
            #expect(next.events == [.data("second"), .end, .lost(nil)])
        }
    }

    // covers: 150
    @Test(arguments: ScriptedBackend.allCases)
    func protocolMayCallEveryFunctionInItsMethods(backend: ScriptedBackend) async throws {
        let actions: [@Sendable (StreamTransport) -> Void] = [
            { $0.close() }, { $0.abort() }, { $0.writeEOF() }, { $0.pauseReading() }, { $0.resumeReading() },
            { if !$0.isClosing { $0.write(contentsOf: [[1, 2, 3, 4, 5, 6], [], [7, 8]]) } },
        ]
        for action in actions {
            for index in 0..<6 {
                try await withScriptedNetwork(backend, LoopTestOptions(allowsLeftoverWork: true)) { network in
                    let recorder = Recorder()
                    var count = 0
                    recorder.reaction = { _, transport in
                        count += 1
                        if count == index + 1 { action(transport) }
                    }
                    let (transport, peer) = try network.connect(recorder)
                    try transport.setWriteBufferLimits(lowBytes: 2, highBytes: 4)
                    peer.takes(atMost: 3)
                    peer.sends("data")
                    await network.idle()
                    if transport.state.acceptsWrites { transport.write("123456") }
                    await network.idle()
                    peer.ends()
                    await network.idle()
                    transport.abort()
                    await network.idle()
                    #expect(recorder.events.first == .made)
                    #expect(recorder.events.last == .lost(nil))
                    #expect(peer.wasClosed)
                    // Pause and resume alternate.
                    let marks = recorder.events.filter { $0 == .paused || $0 == .resumed }
                    for (position, mark) in marks.enumerated() {
                        #expect(mark == (position.isMultiple(of: 2) ? .paused : .resumed))
                    }
                }
            }
        }
    }

    @Test(arguments: ScriptedBackend.allCases)
    func closingTheLoopClosesTheSocketsWithoutCallingProtocols(backend: ScriptedBackend) async throws {
        let kept = Kept()
        try await withScriptedNetwork(backend, LoopTestOptions(allowsLeftoverWork: true)) { network in
            let recorder = Recorder()
            recorder.reaction = { event, _ in kept.events.append(event) }
            let (transport, peer) = try network.connect(recorder)
            peer.blocksWrites()
            await network.idle()
            transport.write("never sent")
            kept.peer = peer
        }
        #expect(kept.events == [.made])
        #expect(kept.peer?.wasClosed == true)
    }

    // covers: 174
    @Test(arguments: ScriptedBackend.allCases)
    func addressesAndStatesAreAvailableAfterTheEnd(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let (transport, peer) = try network.connect(Recorder())
            await network.idle()
            #expect(transport.isReading && !transport.isClosing)
            let address = transport.localAddress
            #expect(address?.family == .unix)
            peer.resets()
            await network.idle()
            #expect(transport.localAddress == address)
            #expect(transport.isClosing && !transport.isReading && transport.writeBufferBytes == 0)
        }
    }
}

private final class Replacing: StreamProtocol {
    private let next: Recorder
    private let report: (String) -> Void
    private var transport: StreamTransport?

    init(by next: Recorder, _ report: @escaping (String) -> Void) {
        self.next = next
        self.report = report
    }

    func connectionMade(_ transport: StreamTransport) { self.transport = transport }

    func dataReceived(_ data: RawSpan) {
        transport?.setProtocol(next)
        transport = nil
        report(String(decoding: [UInt8](data), as: UTF8.self))
    }

    func connectionLost(_ error: (any Error)?) {}
}

/// Objects that a test inspects after its loop was closed.
final class Kept: @unchecked Sendable {
    var events: [Recorder.Event] = []
    var peer: ScriptedPeer?
}
