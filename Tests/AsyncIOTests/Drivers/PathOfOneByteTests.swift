import AsyncIOTesting
import Selectors
import SystemPackage
import Testing

@testable import AsyncIO

/// The system calls of a message on a selector loop: the table "the path of one byte" of ARCHITECTURE.md.
struct PathOfOneByteTests {
    @Test(arguments: [false, true])
    func messageCostsOneWaitOneReceiveAndOneSend(pushes: Bool) async throws {
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
            // One more wait, in which the loop became idle.
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

    @Test func connectionIsRegisteredOnce() async throws {
        try await withScriptedConnection { _, selector, near, far in
            for _ in 0..<3 {
                #expect(withUnsafeBytes(of: UInt8(1)) { far.send($0) } == .bytes(1))
                await selector.reports(near, .read)
            }
            var echo = [UInt8](repeating: 0, count: 10)
            #expect(echo.withUnsafeMutableBytes { far.receive(into: $0) } == .bytes(3))
        } registrations: { near in
            [.register(near, [.read], .edge), .unregister(near)]
        }
    }

    /// It is registered for writing when a send would block, and no longer when an event reports only that the socket
    /// is still writable.
    @Test func connectionIsRegisteredForWritingWhenASendBlocks() async throws {
        try await withScriptedConnection { transport, selector, near, far in
            let message = [UInt8](repeating: 7, count: 4 << 20)
            var memory = message
            for _ in 0..<2 {
                transport.write(message)
                var received = 0
                while received < message.count {
                    if case .bytes(let count) = memory.withUnsafeMutableBytes({ far.receive(into: $0) }) {
                        received += count
                    } else {
                        await selector.reports(near, .write)
                    }
                }
            }
            // Together with another event it costs nothing.
            await selector.reports(near, [.read, .write])
            #expect(selector.calls.count == 2)
            await selector.reports(near, .write)
            await selector.reports(near, .write)
        } registrations: { near in
            [
                .register(near, [.read], .edge), .modify(near, [.read, .write], .edge), .modify(near, [.read], .edge),
                .unregister(near),
            ]
        }
    }

    /// Scripts the selector of an echo server's connection, and compares the registrations, without the waker's.
    private func withScriptedConnection(
        _ body:
            @escaping @Sendable (
                StreamTransport, ScriptedSelector, _ near: FileDescriptor, _ far: Socket
            ) async throws -> Void,
        registrations: @escaping @Sendable (FileDescriptor) -> [ScriptedSelector.Call]
    ) async throws {
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
            defer { far.close() }
            let transport = StreamTransport(
                loop: loop, driver: try loop.makeStreamDriver(ByteChannel(near)), consumer: EchoProtocol(),
                peerAddress: nil)
            transport.start()
            try await body(transport, selector, near.descriptor, far)
            transport.close()
            await loop.yield()
            await loop.yield()
            #expect(selector.calls == registrations(near.descriptor))
        }
    }

    private final class SelectorPlace: @unchecked Sendable {
        var selector: ScriptedSelector?
    }
}

extension ScriptedSelector {
    /// Reports `readiness`, and returns when everything that follows from it has happened.
    fileprivate func reports(_ descriptor: FileDescriptor, _ readiness: Readiness) async {
        await withUnsafeContinuation { continuation in
            report(descriptor, readiness)
            whenIdle { continuation.resume() }
        }
    }
}
