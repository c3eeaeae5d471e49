import AsyncIOTesting
import SystemPackage
import Testing

@testable import AsyncIO

/// The memory of an operation belongs to the kernel until its completion, even if the connection is closed meanwhile.
///
/// The address sanitizer detects a buffer that was freed too early, because the late completion writes into it.
struct LateCompletionTests {
    // covers: 139, 141
    @Test(arguments: [false, true])
    func receiveThatCompletesAfterTheEndStillHasItsBuffer(aborted: Bool) async throws {
        try await withScriptedNetwork(.completion) { network in
            let recorder = Recorder()
            weak var driver: StreamDriver?
            let (transport, peer) = try network.connect(recorder)
            driver = transport.driver
            await network.idle()
            peer.completesLate()
            if aborted { transport.abort() } else { transport.close() }
            await network.idle()
            #expect(recorder.events == [.made, .lost(nil)])
            #expect(!peer.wasClosed)
            #expect(network.loop.statistics.sources == 1)
            #expect(driver != nil)

            peer.sends("nobody wants this any more")
            peer.completesNow()
            await network.idle()
            #expect(recorder.events == [.made, .lost(nil)])
            #expect(peer.wasClosed)
            #expect(network.loop.statistics.sources == 0)
        }
    }

    // covers: 141
    @Test func sendThatCompletesAfterTheEndStillHasItsBytes() async throws {
        try await withScriptedNetwork(.completion) { network in
            let recorder = Recorder()
            let (transport, peer) = try network.connect(recorder)
            await network.idle()
            peer.completesLate()
            transport.write([UInt8](repeating: 1, count: 50_000))
            await network.idle()
            transport.write([UInt8](repeating: 2, count: 50_000))
            transport.abort()
            await network.idle()
            #expect(recorder.eventsWithoutData == [.made, .paused, .lost(nil)])
            #expect(!peer.wasClosed)
            // The kernel was faster than the cancellation.
            peer.completesNow()
            await network.idle()
            #expect(peer.written == [UInt8](repeating: 1, count: 50_000))
            #expect(peer.wasClosed)
        }
    }

    @Test func driverIsFreedWithItsLastCompletion() async throws {
        try await withScriptedNetwork(.completion) { network in
            weak var driver: StreamDriver?
            let peer = try {
                let (transport, peer) = try network.connect(Recorder())
                driver = transport.driver
                return peer
            }()
            await network.idle()
            peer.completesLate()
            (driver?.delegate as? StreamTransport)?.abort()
            await network.idle()
            #expect(driver != nil)
            peer.completesNow()
            await network.idle()
            #expect(driver == nil)
        }
    }

    @Test func resultThatArrivesTogetherWithTheEndIsDiscarded() async throws {
        try await withScriptedNetwork(.completion) { network in
            let recorder = Recorder()
            recorder.reaction = { event, transport in if event == .resumed { transport.abort() } }
            let (transport, peer) = try network.connect(recorder)
            try transport.setWriteBufferLimits(lowBytes: 1, highBytes: 3)
            await network.idle()
            transport.write("12345")
            await network.idle()
            #expect(recorder.events == [.made, .paused, .resumed, .lost(nil)])
            #expect(peer.wasClosed)
        }
    }

    // covers: 36
    @Test func closingTheLoopClosesSocketsWithPendingOperations() async throws {
        let ended = Kept()
        let living = Kept()
        try await withScriptedNetwork(.completion, LoopTestOptions(allowsLeftoverWork: true)) { network in
            for kept in [ended, living] {
                let (transport, peer) = try network.connect(Recorder())
                await network.idle()
                peer.completesLate()
                transport.write("under way")
                await network.idle()
                if kept === ended { transport.abort() }
                await network.idle()
                #expect(!peer.wasClosed)
                kept.peer = peer
            }
        }
        #expect(ended.peer?.wasClosed == true)
        #expect(living.peer?.wasClosed == true)
    }

    // covers: 335
    @Test func wouldBlockCompletionIsSubmittedAgain() async throws {
        try await withScriptedNetwork(.completion) { network in
            let recorder = Recorder()
            let (transport, peer) = try network.connect(recorder)
            await network.idle()
            peer.failsNextReceive(with: .resourceTemporarilyUnavailable)
            peer.sends("data")
            await network.idle()
            #expect(recorder.events == [.made, .data("data")])
            peer.failsNextSend(with: .resourceTemporarilyUnavailable)
            transport.write("answer")
            await network.idle()
            #expect(peer.writtenText == "answer")
            transport.close()
        }
    }

    // covers: 139
    @Test func failedSubmissionEndsTheConnection() async throws {
        try await withScriptedNetwork(.completion) { network in
            let recorder = Recorder()
            let (transport, peer) = try network.connect(recorder)
            await network.idle()
            network.failsNextSubmission(with: .noMemory)
            transport.write("cannot be submitted")
            await network.idle()
            #expect(recorder.events == [.made, .lost(.io(.noMemory))])
            #expect(peer.wasClosed)

            let other = Recorder()
            let (_, otherPeer) = try network.connect(other)
            network.failsNextSubmission(with: .noMemory)
            await network.idle()
            #expect(other.events == [.made, .lost(.io(.noMemory))])
            #expect(otherPeer.wasClosed)
        }
    }
}
