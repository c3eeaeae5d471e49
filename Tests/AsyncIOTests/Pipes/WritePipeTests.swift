import AsyncIOTesting
import CAsyncIO
import Foundation
import SystemPackage
import Testing

@testable import AsyncIO

struct WritePipeTests {
    private static let sent = pattern(1 << 20)

    // covers: 198, 204
    @Test(arguments: TestLoop.all, [0, O_NONBLOCK])
    func slowReaderPausesTheWriterAndLosesNothing(kind: TestLoop, flags: CInt) async throws {
        try await withLoop(kind) { loop in
            let pipe = try PipeEnds.small(flags: flags)
            let (transport, recorder) = try await loop.connectWritePipe(pipe.writer) { Recorder() }
            transport.write(Self.sent)
            #expect(transport.writeBufferBytes > Self.sent.count - 8192)
            transport.close()
            #expect(recorder.events == [.made, .paused])
            let reader = try await loop.openReadPipe(pipe.reader)
            var received: [UInt8] = []
            var buffer = [UInt8](repeating: 0, count: 3_000)
            while let count = try await reader.read(into: &buffer) {
                received += buffer[..<count]
                if received.count < 10_000 { for _ in 0..<50 { await loop.yield() } }
            }
            #expect(received == Self.sent)
            await loop.until { recorder.transport == nil }
            // asyncio, too, calls `resume_writing` of a transport that is closing.
            #expect(recorder.events == [.made, .paused, .resumed, .lost(nil)])
        }
    }

    // covers: 198
    @Test(arguments: TestLoop.all)
    func writesKeepTheirOrder(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let pipe = try PipeEnds()
            let (transport, _) = try await loop.connectWritePipe(pipe.writer) { Recorder() }
            transport.write("one ")
            transport.write(contentsOf: [Array("two ".utf8), [], Array("three ".utf8)])
            let pieces = (0..<1_000).map { [UInt8](repeating: UInt8(truncatingIfNeeded: $0), count: 50) }
            transport.write(contentsOf: pieces)
            transport.write("end")
            transport.close()
            let received = try await loop.openReadPipe(pipe.reader).readAll(limitBytes: 1 << 20)
            #expect(received == Array("one two three ".utf8) + pieces.joined() + Array("end".utf8))
        }
    }

    /// Bytes that are left are lost, and reported to the protocol. Otherwise the end is orderly, as in asyncio.
    // covers: 199
    @Test(.expectsReleasedFiles, arguments: TestLoop.all, [false, true])
    func readerThatLeavesEndsTheTransport(kind: TestLoop, bytesAreLeft: Bool) async throws {
        try await withLoop(kind) { loop in
            let pipe = try PipeEnds.small()
            let (transport, recorder) = try await loop.connectWritePipe(pipe.writer) { Recorder() }
            if bytesAreLeft { transport.write(pattern(10_000)) }
            try pipe.reader.close()
            await loop.until { recorder.transport == nil }
            #expect(recorder.events == [.made, .lost(bytesAreLeft ? .io(.brokenPipe) : nil)])
        }
    }

    // covers: 199
    @Test(.expectsReleasedFiles, arguments: TestLoop.all)
    func readerThatHasLeftBeforeEndsTheTransport(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            for flags in [0, O_NONBLOCK] {
                let pipe = try PipeEnds(flags: flags)
                try pipe.reader.close()
                #expect(becomesTrue { pipe.writer.isHungUp })
                let (_, recorder) = try await loop.connectWritePipe(pipe.writer) { Recorder() }
                await loop.until { recorder.transport == nil }
                #expect(recorder.events == [.made, .lost(nil)])
            }
        }
    }

    /// The write finds out before the loop does. SIGPIPE would end this process.
    // covers: 199
    @Test(.expectsReleasedFiles, arguments: TestLoop.all, [0, O_NONBLOCK])
    func writeWithoutAReaderIsABrokenPipeAndNoSignal(kind: TestLoop, flags: CInt) async throws {
        try await withLoop(kind) { loop in
            let pipe = try PipeEnds(flags: flags)
            let (transport, recorder) = try await loop.connectWritePipe(pipe.writer) { Recorder() }
            try pipe.reader.close()
            #expect(becomesTrue { transport.socket.descriptor!.isHungUp })
            transport.write("lost")
            #expect(transport.isClosing)
            await loop.until { recorder.transport == nil }
            #expect(recorder.events == [.made, .lost(.io(.brokenPipe))])
        }
    }

    // covers: 199
    @Test(.expectsReleasedFiles)
    func brokenPipeLeavesNoSignalPending() throws {
        var set = sigset_t()
        var former = sigset_t()
        sigemptyset(&set)
        sigaddset(&set, SIGPIPE)
        pthread_sigmask(SIG_BLOCK, &set, &former)
        defer { pthread_sigmask(SIG_SETMASK, &former, nil) }
        for calls in [TransferCalls.file, [.file, .blocking]] {
            let pipe = try PipeEnds()
            try pipe.reader.close()
            #expect(becomesTrue { pipe.writer.isHungUp })
            var byte: UInt8 = 1
            let result = withUnsafeMutableBytes(of: &byte) { calls.write(pipe.writer, $0) }
            #expect(result == .failed(.brokenPipe))
            var pending = sigset_t()
            sigpending(&pending)
            #expect(sigismember(&pending, SIGPIPE) == 0)
            try pipe.writer.close()
        }
    }

    // covers: 203
    @Test(.expectsReleasedFiles, arguments: TestLoop.all)
    func endOfWritingWaitsForTheBufferAndCloses(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let pipe = try PipeEnds.small()
            let (transport, recorder) = try await loop.connectWritePipe(pipe.writer) { Recorder() }
            #expect(transport.canWriteEOF)
            transport.write(Self.sent)
            transport.writeEOF()
            transport.writeEOF()
            #expect(transport.isClosing && transport.writeBufferBytes > 0)
            let received = try await loop.openReadPipe(pipe.reader).readToEnd()
            #expect(received == Self.sent)
            await loop.until { recorder.transport == nil }
            #expect(recorder.events.filter { $0 == .lost(nil) }.count == 1)
        }
    }

    // covers: 203
    @Test(.expectsReleasedFiles, arguments: TestLoop.all)
    func abortDropsTheBuffer(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let pipe = try PipeEnds.small()
            let (transport, recorder) = try await loop.connectWritePipe(pipe.writer) { Recorder() }
            transport.write(Self.sent)
            transport.close()
            transport.abort()
            transport.close()
            #expect(transport.writeBufferBytes == 0)
            let received = try await loop.openReadPipe(pipe.reader).readToEnd()
            #expect(received.count <= 8192 && received == Array(Self.sent[..<received.count]))
            await loop.until { recorder.transport == nil }
            #expect(recorder.events == [.made, .paused, .lost(nil)])
        }
    }

    /// A close must not give up after a minute, as it does for a connection: the reader may be a pager.
    // covers: 203, 204
    @Test(arguments: TestLoop.all)
    func closeWaitsForAReaderWithoutABound(kind: TestLoop) async throws {
        try await withVirtualLoop(kind) { loop in
            let pipe = try PipeEnds.small()
            let (transport, recorder) = try await loop.connectWritePipe(pipe.writer) { Recorder() }
            transport.write(Self.sent)
            transport.close()
            try await loop.sleep(for: .seconds(3600))
            #expect(recorder.transport != nil)
            let received = try await loop.openReadPipe(pipe.reader).readToEnd()
            #expect(received == Self.sent)
            await loop.until { recorder.transport == nil }
        }
    }

    /// asyncio watches the output for reading too, but takes any bytes there for the reader's end.
    // covers: 202
    @Test(.expectsReleasedFiles, arguments: TestLoop.all)
    func outputThatHasBytesToReadStaysOpen(kind: TestLoop) async throws {
        try await withVirtualLoop(kind) { loop in
            let (near, far) = try Socket.pair()
            sendByte(far)
            let (transport, recorder) = try await loop.connectWritePipe(near.descriptor) { Recorder() }
            try await loop.sleep(for: .seconds(1))
            transport.write("hello")
            #expect(try far.descriptor.readSome() == Array("hello".utf8))
            #expect(recorder.events == [.made])
            far.close()
            #expect(becomesTrue { near.descriptor.isHungUp })
            transport.write("lost")
            await loop.until { recorder.transport == nil }
            #expect(recorder.events == [.made, .lost(.io(.brokenPipe))])
        }
    }

    // covers: 202
    @Test(arguments: TestLoop.all)
    func deviceThatCannotBeWatchedTakesEverything(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let null = try FileDescriptor.open("/dev/null", .writeOnly)
            let (transport, recorder) = try await loop.connectWritePipe(null) { Recorder() }
            transport.write(Self.sent)
            await loop.until { transport.writeBufferBytes == 0 }
            transport.close()
            await loop.until { recorder.transport == nil }
            #expect(recorder.eventsWithoutData.last == .lost(nil))
        }
    }

    /// The output of one pipe goes back through another one.
    // covers: 206
    @Test(arguments: TestLoop.all)
    func heavyTrafficInBothDirectionsDoesNotDeadlock(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let there = try PipeEnds()
            let back = try PipeEnds()
            let relay = Relay()
            relay.output = try await loop.connectWritePipe(back.writer) { relay }.transport
            _ = try await loop.connectReadPipe(there.reader) { RelayInput(relay) }

            let sent = pattern(8 << 20)
            let writer = try await loop.openWritePipe(there.writer)
            let writing = loop.createTask {
                try await writer.write(sent)
                writer.close()
            }
            let received = try await loop.openReadPipe(back.reader).readToEnd()
            try await writing.value
            #expect(received == sent)
            #expect(relay.mostBuffered <= 64 * 1024 + 256 * 1024)
        }
    }
}

/// The output of a relay: pauses its input while the buffer is full.
private final class Relay: StreamProtocol {
    var input: StreamTransport?
    var output: StreamTransport?
    private(set) var mostBuffered = 0

    func forward(_ data: RawSpan) {
        output?.write(data)
        mostBuffered = max(mostBuffered, output?.writeBufferBytes ?? 0)
    }

    func connectionMade(_ transport: StreamTransport) {}
    func dataReceived(_ data: RawSpan) {}
    func pauseWriting() { input?.pauseReading() }
    func resumeWriting() { input?.resumeReading() }

    func connectionLost(_ error: (any Error)?) {
        input = nil
        output = nil
    }
}

private final class RelayInput: StreamProtocol {
    private let relay: Relay

    init(_ relay: Relay) {
        self.relay = relay
    }

    func connectionMade(_ transport: StreamTransport) { relay.input = transport }
    func dataReceived(_ data: RawSpan) { relay.forward(data) }
    func connectionLost(_ error: (any Error)?) { relay.output?.close() }
}
