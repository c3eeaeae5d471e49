import AsyncIOTesting
import Selectors
import SystemPackage
import Testing

@testable import AsyncIO

/// What a message costs on readiness: the table "the path of one byte" of ARCHITECTURE.md.
struct PathOfOneByteTests {
    @Test(arguments: [false, true])
    func aMessageCostsOneWaitOneReceiveAndOneSend(pushes: Bool) async throws {
        try await withScriptedNetwork(.readiness) { network in
            let peer: ScriptedPeer
            var serving: Task<Void, any Error>?
            if pushes {
                peer = try network.connect(EchoProtocol()).peer
            } else {
                let (reader, writer, other) = try network.openStreams()
                peer = other
                serving = network.loop.createTask {
                    var buffer = [UInt8](repeating: 0, count: 1_000)
                    while let count = try await reader.read(into: &buffer) {
                        try await writer.write(buffer.span.extracting(0..<count).bytes)
                    }
                    writer.close()
                }
            }
            await network.idle()
            peer.sends("the first may find out more")
            await network.idle()

            let (waits, receives, sends) = (network.waitCount, peer.receives, peer.sends.count)
            let suspensions = network.loop.statistics.suspensions
            peer.sends("message")
            await network.idle()
            // One more, in which the loop came to rest.
            #expect(network.waitCount - waits == 2)
            #expect(peer.receives - receives == 1)
            #expect(peer.sends.count - sends == 1)
            #expect(network.loop.statistics.suspensions - suspensions == (pushes ? 0 : 1))
            peer.ends()
            try await serving?.value
            await network.idle()
            #expect(peer.wasClosed)
        }
    }

    @Test func aConnectionIsRegisteredOnce() async throws {
        let clock = VirtualClock()
        let place = SelectorPlace()
        let makeLoop: @Sendable () throws -> SelectorEventLoop = {
            let selector = ScriptedSelector(clock: clock)
            place.selector = selector
            return try SelectorEventLoop(selector: selector, clock: clock)
        }
        try await withLoop(makeLoop: makeLoop) { loop in
            let made = place.selector.take()
            let selector = try #require(made)
            let (near, far) = try Socket.pair()
            let transport = StreamTransport(
                loop: loop, driver: try loop.makeStreamDriver(near), consumer: EchoProtocol(), peerAddress: nil)
            transport.start()
            for _ in 0..<3 {
                #expect(withUnsafeBytes(of: UInt8(1)) { far.send($0) } == .bytes(1))
                await withUnsafeContinuation { continuation in
                    selector.tell(near.descriptor, .read)
                    selector.whenIdle { continuation.resume() }
                }
            }
            var echo = [UInt8](repeating: 0, count: 10)
            #expect(echo.withUnsafeMutableBytes { far.receive(into: $0) } == .bytes(3))
            transport.close()
            await loop.yield()
            await loop.yield()
            #expect(
                selector.calls == [.register(near.descriptor, [.read, .write], .edge), .unregister(near.descriptor)])
            far.close()
        }
    }

    private final class SelectorPlace: @unchecked Sendable {
        var selector: ScriptedSelector?
    }
}
