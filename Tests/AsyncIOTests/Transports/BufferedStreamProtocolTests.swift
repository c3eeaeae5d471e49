import AsyncIO
import AsyncIOTesting
import Testing

/// Protocols that lend memory, with the same results on readiness and on completion.
struct BufferedStreamProtocolTests {
    private static let bytes = pattern(600_000)

    // covers: 157
    @Test(arguments: ScriptedBackend.allCases, [7, 1_000, 100_000, 1 << 20])
    func bytesAreReceivedIntoTheLentMemoryInOrder(backend: ScriptedBackend, bufferBytes: Int) async throws {
        try await withScriptedNetwork(backend) { network in
            let recorder = BufferedRecorder(bufferBytes: bufferBytes)
            let (_, peer) = try network.connect(recorder)
            let bytes = Self.bytes.prefix(bufferBytes * 500)
            peer.sends(Array(bytes))
            peer.ends()
            await network.idle()
            #expect(recorder.received == Array(bytes))
            #expect(recorder.pieces.allSatisfy { 0 < $0 && $0 <= bufferBytes })
            #expect(recorder.hints.allSatisfy { $0 > 0 })
            #expect(recorder.sawEnd && recorder.losses == 1 && recorder.loss == nil)
            #expect(peer.wasClosed)
        }
    }

    enum Fault: CaseIterable {
        case lendsEmptyMemory, lendsNone, throwsWhenLending, throwsAfterLending, throwsWhenUpdated
    }

    // covers: 156, 157, F19
    @Test(arguments: ScriptedBackend.allCases, Fault.allCases)
    func faultOfTheProtocolEndsItsConnectionWithOneReport(backend: ScriptedBackend, fault: Fault) async throws {
        try await withScriptedNetwork(backend, LoopTestOptions(unhandledErrors: 1)) { network in
            let recorder = BufferedRecorder()
            let other = BufferedRecorder()
            var report = ""
            network.loop.setExceptionHandler { _, context in
                report = "\(context)"
                #expect(context.protocol === recorder && context.transport != nil)
            }
            switch fault {
            case .lendsEmptyMemory: recorder.lends = { $1(UnsafeMutableRawBufferPointer(rebasing: $0[..<0])) }
            case .lendsNone: recorder.lends = { _, _ in }
            case .throwsWhenLending: recorder.lends = { _, _ in throw BufferedRecorder.ExampleError() }
            case .throwsAfterLending:
                recorder.lends = { memory, receive in
                    receive(memory)
                    throw BufferedRecorder.ExampleError()
                }
            case .throwsWhenUpdated: recorder.reaction = { _ in throw BufferedRecorder.ExampleError() }
            }
            let (_, peer) = try network.connect(recorder)
            let (otherTransport, otherPeer) = try network.connect(other)
            peer.sends("data")
            peer.ends()
            await network.idle()
            #expect(recorder.losses == 1 && !recorder.sawEnd)
            #expect(peer.wasClosed)
            switch fault {
            case .lendsEmptyMemory, .lendsNone:
                #expect((recorder.loss as? EventLoopError)?.code == .invalidArgument)
                #expect(report.contains("lent no memory"))
            default:
                #expect(recorder.loss is BufferedRecorder.ExampleError)
                #expect(report.hasPrefix("protocol."))
            }
            otherPeer.sends("still here")
            await network.idle()
            #expect(other.received == Array("still here".utf8))
            otherTransport.close()
        }
    }

    // covers: 158
    @Test(arguments: ScriptedBackend.allCases)
    func protocolCanBeReplacedByTheOtherKindWhileDataArrives(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let lender = BufferedRecorder(bufferBytes: 10)
            let plain = Passing()
            let last = BufferedRecorder(bufferBytes: 1_000)
            lender.reaction = { $0.setProtocol(plain) }
            let (transport, peer) = try network.connect(lender)
            plain.passOn = { transport.setProtocol(last) }
            let bytes = Self.bytes
            peer.sends(bytes)
            await network.idle()
            // The plain protocol received one piece of the loop's, and the last protocol the rest.
            #expect(lender.received.count == 10 && !plain.received.isEmpty)
            #expect(lender.received + plain.received + last.received == bytes)
            #expect(transport.protocol === last)
            peer.ends()
            await network.idle()
            #expect(last.losses == 1 && last.sawEnd)
            #expect(lender.losses == 0)
            #expect(transport.protocol == nil)
            plain.passOn = {}
            transport.setProtocol(plain)
            #expect(transport.protocol == nil)
        }
    }

    /// The bytes are in the memory of the former protocol, so that protocol is notified.
    // covers: 158
    @Test(arguments: ScriptedBackend.allCases, [false, true])
    func replacedBufferedProtocolStillGetsItsBytes(
        backend: ScriptedBackend, lendsFirst: Bool
    ) async throws {
        try await withScriptedNetwork(backend) { network in
            let lender = BufferedRecorder(bufferBytes: 4)
            let next = BufferedRecorder()
            let (transport, peer) = try network.connect(lender)
            lender.lends = { memory, receive in
                if lendsFirst { receive(memory) }
                transport.setProtocol(next)
                if !lendsFirst { receive(memory) }
            }
            peer.sends("12345678")
            await network.idle()
            #expect(lender.received == Array("1234".utf8))
            #expect(next.received == Array("5678".utf8))
            peer.ends()
            await network.idle()
            #expect(next.losses == 1 && lender.losses == 0)
            lender.lends = nil
        }
    }

    /// A plain protocol that calls a closure when it has received data.
    private final class Passing: StreamProtocol {
        private(set) var received: [UInt8] = []
        var passOn = {}

        func connectionMade(_ transport: StreamTransport) {}
        func connectionLost(_ error: (any Error)?) {}

        func dataReceived(_ data: RawSpan) {
            received += data.withUnsafeBytes { [UInt8]($0) }
            passOn()
        }
    }

    // covers: 151, 157
    @Test(arguments: ScriptedBackend.allCases)
    func pausingBetweenTwoPiecesRetainsTheRest(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let recorder = BufferedRecorder(bufferBytes: 10)
            recorder.reaction = { $0.pauseReading() }
            let (transport, peer) = try network.connect(recorder)
            peer.sends("one piece.and another.")
            peer.ends()
            await network.idle()
            #expect(recorder.pieces == [10])
            transport.resumeReading()
            await network.idle()
            #expect(recorder.pieces == [10, 10])
            #expect(!recorder.sawEnd)
            transport.resumeReading()
            await network.idle()
            #expect(recorder.pieces == [10, 10, 2])
            transport.resumeReading()
            await network.idle()
            #expect(recorder.received == Array("one piece.and another.".utf8))
            #expect(recorder.losses == 1)
        }
    }

    // covers: 141, 150
    @Test(arguments: ScriptedBackend.allCases, [false, true])
    func endingWithinAMethodEndsAtOnce(backend: ScriptedBackend, whenLending: Bool) async throws {
        try await withScriptedNetwork(backend) { network in
            let recorder = BufferedRecorder(bufferBytes: 4)
            if whenLending {
                recorder.lends = { [unowned recorder] memory, receive in
                    recorder.transport?.abort()
                    receive(memory)
                }
            } else {
                recorder.reaction = { $0.close() }
            }
            let (_, peer) = try network.connect(recorder)
            peer.sends("12345678")
            await network.idle()
            // Memory may be lent when the bytes are there already.
            #expect(recorder.pieces == [4] || whenLending && recorder.pieces.isEmpty)
            #expect(recorder.losses == 1)
        }
    }

    // covers: 157
    @Test(arguments: TestLoop.allAndFiltered)
    func bufferedProtocolReceivesAMegabyteFromTheKernel(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let server = try await loop.startServer(host: "127.0.0.1", port: 0) { _, writer in
                try await writer.write(Self.bytes)
            }
            let (_, recorder) = try await loop.createConnection(host: "127.0.0.1", port: server.port) {
                BufferedRecorder(bufferBytes: 5_000)
            }
            await loop.until { recorder.transport == nil }
            #expect(recorder.received == Self.bytes)
            #expect(recorder.loss == nil)
            server.close()
            try await server.waitClosed()
        }
    }
}
