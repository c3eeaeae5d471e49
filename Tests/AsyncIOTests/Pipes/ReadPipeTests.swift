import AsyncIOTesting
import Foundation
import SystemPackage
import Testing

@testable import AsyncIO

struct ReadPipeTests {
    // covers: 197
    @Test(arguments: TestLoop.all, [0, O_NONBLOCK])
    func pipeGivesItsDataItsEOFAndOneLoss(kind: TestLoop, flags: CInt) async throws {
        try await withLoop(kind) { loop in
            let pipe = try PipeEnds(flags: flags)
            try pipe.writer.write("before ")
            let (transport, recorder) = try await loop.connectReadPipe(pipe.reader) { Recorder() }
            #expect(recorder.events == [.made])
            await loop.until { recorder.received.count == 7 }
            try pipe.writer.write("after")
            await loop.until { recorder.received.count == 12 }
            try pipe.writer.close()
            await loop.until { recorder.transport == nil }
            #expect(recorder.received == Array("before after".utf8))
            #expect(recorder.eventsWithoutData == [.made, .end, .lost(nil)])
            #expect(transport.socket.descriptor == nil && transport.isClosing)
        }
    }

    /// `eofReceived` asks to stay open, but there is no other direction.
    // covers: 197
    @Test(arguments: TestLoop.all)
    func writerThatHasLeftBeforeIsAnEOF(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let pipe = try PipeEnds()
            let sent = pattern(60_000)
            _ = try pipe.writer.writeAll(sent)
            try pipe.writer.close()
            let (_, recorder) = try await loop.connectReadPipe(pipe.reader) {
                let recorder = Recorder()
                recorder.staysOpen = true
                return recorder
            }
            await loop.until { recorder.transport == nil }
            #expect(recorder.received == sent)
            #expect(recorder.eventsWithoutData == [.made, .end, .lost(nil)])
        }
    }

    // covers: 197
    @Test(arguments: TestLoop.all)
    func protocolMayLendItsMemory(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let pipe = try PipeEnds()
            _ = try pipe.writer.writeAll(pattern(1_000))
            let (transport, recorder) = try await loop.connectReadPipe(pipe.reader) { BufferedRecorder() }
            await loop.until { recorder.received.count == 1_000 }
            #expect(recorder.received == pattern(1_000))
            transport.close()
            try pipe.writer.close()
        }
    }

    // covers: 200
    @Test(arguments: TestLoop.all)
    func pausingAndResumingTwiceOrAfterTheCloseDoesNothing(kind: TestLoop) async throws {
        try await withVirtualLoop(kind) { loop in
            let pipe = try PipeEnds()
            let (transport, recorder) = try await loop.connectReadPipe(pipe.reader) { Recorder() }
            try await loop.sleep(for: .seconds(1))
            transport.pauseReading()
            transport.pauseReading()
            #expect(!transport.isReading)
            try pipe.writer.write("held back")
            try await loop.sleep(for: .seconds(1))
            #expect(recorder.events == [.made])
            transport.resumeReading()
            transport.resumeReading()
            await loop.until { recorder.events == [.made, .data("held back")] }
            transport.close()
            transport.pauseReading()
            transport.resumeReading()
            await loop.until { recorder.transport == nil }
            transport.pauseReading()
            transport.resumeReading()
            try await loop.sleep(for: .seconds(1))
            #expect(recorder.events == [.made, .data("held back"), .lost(nil)])
            try pipe.writer.close()
        }
    }

    /// While the protocol has paused, the loop must not be woken again and again by bytes, or by the writer's end.
    // covers: 200
    @Test(arguments: TestLoop.all)
    func pausedPipeDoesNotWakeTheLoop(kind: TestLoop) async throws {
        try await withVirtualLoop(kind) { loop in
            let pipe = try PipeEnds()
            let (transport, recorder) = try await loop.connectReadPipe(pipe.reader) { Recorder() }
            transport.pauseReading()
            try pipe.writer.write("held back")
            try pipe.writer.close()
            try await loop.sleep(for: .seconds(1))
            let ticks = loop.core.pointee.tick
            try await loop.sleep(for: .seconds(1))
            #expect(loop.core.pointee.tick - ticks < 10)
            transport.resumeReading()
            await loop.until { recorder.transport == nil }
            #expect(recorder.events == [.made, .data("held back"), .end, .lost(nil)])
        }
    }

    // covers: 199, 203
    @Test(.expectsReleasedFiles, arguments: TestLoop.all)
    func closeClosesOnceAndTheWriterNoticesIt(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let pipe = try PipeEnds()
            let (transport, recorder) = try await loop.connectReadPipe(pipe.reader) { Recorder() }
            transport.close()
            transport.close()
            transport.abort()
            await loop.until { recorder.transport == nil }
            #expect(recorder.events == [.made, .lost(nil)])
            #expect(becomesTrue { pipe.writer.isHungUp })
            try pipe.writer.close()
        }
    }

    /// A read returns one packet, and another one follows.
    // covers: 197
    @Test(arguments: TestLoop.all)
    func packetsOfAPipeArriveOneByOne(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            // O_DIRECT, which Glibc's module lacks.
            let pipe = try PipeEnds(flags: 0o40000)
            for packet in ["one", "two", "three"] { try pipe.writer.write(packet) }
            try pipe.writer.close()
            let (_, recorder) = try await loop.connectReadPipe(pipe.reader) { Recorder() }
            await loop.until { recorder.transport == nil }
            #expect(recorder.events == [.made, .data("one"), .data("two"), .data("three"), .end, .lost(nil)])
        }
    }

    // covers: 202
    @Test(arguments: TestLoop.all)
    func socketIsTaken(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let (near, far) = try Socket.pair()
            let (_, recorder) = try await loop.connectReadPipe(near.descriptor) { Recorder() }
            sendByte(far)
            far.close()
            await loop.until { recorder.transport == nil }
            #expect(recorder.events == [.made, .data("\u{1}"), .end, .lost(nil)])
        }
    }

    // covers: 202
    @Test(arguments: TestLoop.all)
    func deviceThatCannotBeWatchedIsTaken(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let null = try FileDescriptor.open("/dev/null", .readOnly)
            let (_, recorder) = try await loop.connectReadPipe(null) { Recorder() }
            await loop.until { recorder.transport == nil }
            #expect(recorder.events == [.made, .end, .lost(nil)])
        }
    }

    // covers: 202
    @Test(arguments: TestLoop.all)
    func regularFilesDirectoriesAndDatagramSocketsAreRefused(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let (datagrams, other) = try Socket.pair(.datagram)
            other.close()
            for descriptor in [
                try FileDescriptor.open("/proc/self/exe", .readOnly), try FileDescriptor.open("/tmp", .readOnly),
                datagrams.descriptor,
            ] {
                let code = await asyncCode { _ = try await loop.connectReadPipe(descriptor) { Recorder() } }
                #expect(code == .invalidArgument)
            }
            #expect(loop.statistics.sources == 0)
        }
    }

    // covers: 202
    @Test(arguments: TestLoop.all)
    func wrongEndIsRefused(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let pipe = try PipeEnds()
            let reading = await asyncCode { _ = try await loop.connectReadPipe(pipe.writer) { Recorder() } }
            #expect(reading == .invalidArgument)
            let writing = await asyncCode { _ = try await loop.connectWritePipe(pipe.reader) { Recorder() } }
            #expect(writing == .invalidArgument)
            let failure = await #expect(throws: IOError.self) {
                _ = try await loop.connectReadPipe(FileDescriptor(rawValue: -1)) { Recorder() }
            }
            #expect(failure?.errno == .badFileDescriptor)
        }
    }

    @Test(arguments: TestLoop.all)
    func descriptorInUseStaysOpenAndWatched(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let pipe = try PipeEnds()
            var calls = 0
            try loop.addReader(pipe.reader) { calls += 1 }
            let code = await asyncCode { _ = try await loop.connectReadPipe(pipe.reader) { Recorder() } }
            #expect(code == .descriptorInUse)
            try pipe.writer.write("x")
            await loop.until { calls > 0 }
            #expect(loop.removeReader(pipe.reader))
            try pipe.reader.close()
            try pipe.writer.close()
        }
    }

    @Test(.expectsReleasedFiles, arguments: TestLoop.all)
    func callThatThrowsClosesTheDescriptor(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let pipe = try PipeEnds()
            await #expect(throws: Recorder.ExampleError.self) {
                _ = try await loop.connectReadPipe(pipe.reader) { () throws -> Recorder in throw Recorder.ExampleError()
                }
            }
            #expect(becomesTrue { pipe.writer.isHungUp })
            try pipe.writer.close()

            let other = try PipeEnds()
            let task = loop.createTask {
                _ = try await loop.connectReadPipe(other.reader) { Recorder() }
            }
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
            #expect(becomesTrue { other.writer.isHungUp })
            try other.writer.close()
        }
    }

    /// Any one reader sees EOF only when the last writer has left, and the descriptor may be opened before the first.
    // covers: 197
    @Test(arguments: TestLoop.all)
    func fifoWaitsForItsFirstWriter(kind: TestLoop) async throws {
        try await withFIFO { path in
            try await withVirtualLoop(kind) { loop in
                let reader = try FileDescriptor.opening(path, .readOnly, waits: false)
                let (_, recorder) = try await loop.connectReadPipe(reader) { Recorder() }
                try await loop.sleep(for: .seconds(1))
                #expect(recorder.events == [.made])
                let writer = try FileDescriptor.opening(path, .writeOnly)
                try writer.write("hello")
                await loop.until { recorder.received.count == 5 }
                try writer.close()
                await loop.until { recorder.transport == nil }
                #expect(recorder.events == [.made, .data("hello"), .end, .lost(nil)])
            }
        }
    }

    /// The writer has written and left before the blocking descriptor is given away: opened again, it would wait.
    // covers: 197
    @Test(arguments: TestLoop.all)
    func fifoWhoseWriterHasLeftEnds(kind: TestLoop) async throws {
        try await withFIFO { path in
            try await withLoop(kind) { loop in
                let reader = try FileDescriptor.opening(path, .readOnly, waits: false)
                let writer = try FileDescriptor.opening(path, .writeOnly)
                try Socket(number: reader.rawValue).setNonBlocking(false)
                try writer.write("hello")
                try writer.close()
                let (_, recorder) = try await loop.connectReadPipe(reader) { Recorder() }
                await loop.until { recorder.transport == nil }
                #expect(recorder.events == [.made, .data("hello"), .end, .lost(nil)])
            }
        }
    }

    // covers: 197
    @Test(arguments: TestLoop.all)
    func fifoThatIsOpenForBothDirectionsHasNoEOF(kind: TestLoop) async throws {
        try await withFIFO { path in
            try await withVirtualLoop(kind) { loop in
                let (transport, recorder) = try await loop.connectReadPipe(try .opening(path, .readWrite)) {
                    Recorder()
                }
                for word in ["one", "two"] {
                    let writer = try FileDescriptor.opening(path, .writeOnly)
                    try writer.write(word)
                    try writer.close()
                    try await loop.sleep(for: .seconds(1))
                }
                #expect(recorder.events == [.made, .data("one"), .data("two")])
                transport.close()
            }
        }
    }

    /// asyncio's `ReadTransport` has no `write`.
    @Test(arguments: TestLoop.all)
    func writeToAPipeThatIsReadIsReported(kind: TestLoop) async throws {
        try await withLoop(kind, LoopTestOptions(unhandledErrors: 1)) { loop in
            let pipe = try PipeEnds()
            let (transport, _) = try await loop.connectReadPipe(pipe.reader) { Recorder() }
            #expect(!transport.canWriteEOF)
            var messages: [String] = []
            loop.setExceptionHandler { _, context in messages.append("\(context)") }
            transport.write("x")
            transport.writeEOF()
            #expect(messages.count == 1 && messages[0].contains("the pipe is open for reading only"))
            loop.setExceptionHandler(nil)
            transport.close()
            try pipe.writer.close()
        }
    }

    @Test(arguments: TestLoop.all)
    func failedReadEndsTheTransportWithTheDescriptorsNumber(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let pipe = try PipeEnds(flags: O_NONBLOCK)
            try pipe.writer.write("x")
            loop.replaceSystemCalls(by: FailingPipeCalls(.ioError))
            let (_, recorder) = try await loop.connectReadPipe(pipe.reader) { BufferedRecorder() }
            await loop.until { recorder.losses == 1 }
            let loss = try #require(recorder.loss)
            #expect("\(loss)" == "cannot receive from descriptor \(pipe.reader.rawValue): Input/output error")
            loop.replaceSystemCalls(by: nil)
            try pipe.writer.close()
        }
    }
}

private final class FailingPipeCalls: SystemCalls {
    private let error: Errno

    init(_ error: Errno) {
        self.error = error
    }

    func read(
        _ descriptor: FileDescriptor, into buffer: UnsafeMutableRawBufferPointer, _ calls: TransferCalls
    ) -> IOResult { .failed(error) }
}
