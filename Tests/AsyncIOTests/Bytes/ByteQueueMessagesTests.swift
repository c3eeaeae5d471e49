import AsyncIOTesting
import Testing

@testable import AsyncIO

struct ByteQueueMessagesTests {
    @Test(arguments: [1, 2, 3, 7, 100])
    func linesAreFoundInPiecesOfAnySize(step: Int) throws {
        let text = "first\r\n\nthe third line\nhalf"
        var queue = ByteQueue()
        var lines: [String] = []
        let bytes = Array(text.utf8)
        for start in stride(from: 0, to: bytes.count, by: step) {
            try queue.append(Array(bytes[start..<min(start + step, bytes.count)]))
            while let line = try queue.takeLine() { lines.append(line) }
        }
        #expect(lines == ["first", "", "the third line"])
        #expect(try queue.takeLine() == nil)
        #expect(queue.take(queue.count) == Array("half".utf8))
    }

    @Test func takeLineCanIncludeTheNewline() throws {
        var queue = ByteQueue()
        try queue.append("a\r\nb\n")
        #expect(try queue.takeLine(strippingNewline: false) == "a\r\n")
        #expect(try queue.takeLine(strippingNewline: false) == "b\n")
        try queue.append([0xFF, 0x0A])
        #expect(try queue.takeLine() == "\u{FFFD}")
    }

    @Test func takeLineRejectsALineBeyondTheLimit() throws {
        var queue = ByteQueue()
        try queue.append("12345\n123456\nok\n")
        #expect(try queue.takeLine(limitBytes: 5) == "12345")
        #expect(throws: LimitOverrunError.self) { _ = try queue.takeLine(limitBytes: 5) }
        #expect(try queue.takeLine(limitBytes: 5) == "ok")
        // Also before the newline has been received.
        try queue.append("123456")
        #expect(throws: LimitOverrunError.self) { _ = try queue.takeLine(limitBytes: 5) }
        #expect(queue.isEmpty)
    }

    /// The search for a newline resumes at the right byte after other bytes were consumed.
    @Test func takeLineWorksAfterOtherBytesWereConsumed() throws {
        var queue = ByteQueue()
        try queue.append("0123456789")
        #expect(try queue.takeLine() == nil)
        queue.consume(8)
        try queue.append("\nx\n")
        #expect(try queue.takeLine() == "89")
        #expect(try queue.takeLine() == "x")
    }

    @Test(arguments: [LengthPrefix.uint8, .uint16, .uint32, .uint64], [1, 3, 1_000])
    func framesAreFoundInPiecesOfAnySize(prefix: LengthPrefix, step: Int) throws {
        let frames = [0, 1, 200, 255].map { [UInt8](repeating: UInt8(truncatingIfNeeded: $0), count: $0) }
        let bytes = try frames.flatMap { try prefix.frame($0.span.bytes) }
        var queue = ByteQueue()
        var taken: [[UInt8]] = []
        for start in stride(from: 0, to: bytes.count, by: step) {
            try queue.append(Array(bytes[start..<min(start + step, bytes.count)]))
            while let frame = try queue.takeFrame(lengthPrefix: prefix) { taken.append(frame) }
        }
        #expect(taken == frames)
        #expect(queue.isEmpty)
    }

    @Test func takeFrameRejectsAFrameThatCannotBecomeComplete() throws {
        var queue = ByteQueue(limitBytes: 1_000)
        try queue.append([0, 0, 1, 1])
        #expect(throws: LimitOverrunError.self) { _ = try queue.takeFrame(limitBytes: 256) }
        #expect(queue.count == 4)
        #expect(try queue.takeFrame(limitBytes: 257) == nil)
        // 997 bytes and their length exceed the limit of the queue.
        var other = ByteQueue(limitBytes: 1_000)
        try other.append([0, 0, 3, 0xE5])
        #expect(throws: LimitOverrunError.self) { _ = try other.takeFrame() }
        var huge = ByteQueue()
        try huge.append([UInt8](repeating: 0xFF, count: 8))
        #expect(throws: LimitOverrunError.self) { _ = try huge.takeFrame(lengthPrefix: .uint64, limitBytes: .max) }
        let tooLong = [UInt8](repeating: 0, count: 256)
        #expect(code { _ = try LengthPrefix.uint8.frame(tooLong.span.bytes) } == .invalidArgument)
    }

    /// A protocol as in the documentation of `ByteQueue`.
    private final class Echo: StreamProtocol {
        private var input = ByteQueue()
        private var transport: StreamTransport?

        func connectionMade(_ transport: StreamTransport) { self.transport = transport }

        func dataReceived(_ data: RawSpan) throws {
            try input.append(data)
            while let frame = try input.takeFrame() { try transport?.writeFrame(frame) }
        }

        func connectionLost(_ error: (any Error)?) { transport = nil }
    }

    @Test(arguments: ScriptedBackend.allCases)
    func protocolEchoesFrames(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let (transport, peer) = try network.connect(Echo())
            await network.idle()
            let bytes: [UInt8] = [0, 0, 0, 2, 7, 8, 0, 0, 0, 0, 0, 0, 0, 1, 9]
            for byte in bytes {
                peer.sends([byte])
                await network.idle()
            }
            #expect(peer.written == bytes)
            let large = [UInt8](repeating: 5, count: 50_000)
            try transport.writeFrame(large)
            try transport.writeFrame(large.span.bytes, lengthPrefix: .uint16)
            #expect(code { try transport.writeFrame(large, lengthPrefix: .uint8) } == .invalidArgument)
            await network.idle()
            #expect(peer.written == bytes + [0, 0, 0xC3, 0x50] + large + [0xC3, 0x50] + large)
            transport.close()
        }
    }
}
