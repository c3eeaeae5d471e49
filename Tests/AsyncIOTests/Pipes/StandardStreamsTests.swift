import AsyncIOTesting
import Foundation
import SystemPackage
import Testing

@testable import AsyncIO

/// The standard streams, with other descriptors in their place where it matters which files they are: all tests share
/// the process's own.
struct StandardStreamsTests {
    // covers: 205, 310
    @Test(arguments: TestLoop.all)
    func twoPipesAreOneConnection(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let (typed, shown) = (try PipeEnds(), try PipeEnds())
            let transport = try loop.standardStreams(typed.reader, shown.writer)
            let (reader, writer) = transport.makeStreams(limitBytes: 100)
            try typed.writer.write("hello\n")
            #expect(try await reader.readLine() == "hello")
            try await writer.write("answer")
            #expect(try shown.reader.readSome() == Array("answer".utf8))
            #expect(try !typed.reader.isNonBlocking && !shown.writer.isNonBlocking)
            try typed.writer.close()
            #expect(try await reader.readLine() == nil)
            // The output outlives the input, and its end closes only the stream's own descriptor.
            try await writer.write("more")
            try await writer.writeEOF()
            try await writer.waitClosed()
            #expect(try shown.reader.readSome() == Array("more".utf8))
            try shown.writer.write("still open")
            #expect(try shown.reader.readSome() == Array("still open".utf8))
            for descriptor in [typed.reader, shown.reader, shown.writer] { try descriptor.close() }
        }
    }

    // covers: 205
    @Test(arguments: TestLoop.all)
    func protocolGetsTheInputAndPausesIt(kind: TestLoop) async throws {
        try await withVirtualLoop(kind) { loop in
            let (typed, shown) = (try PipeEnds(), try PipeEnds())
            let recorder = Recorder()
            recorder.staysOpen = true
            let transport = try loop.standardStreams(typed.reader, shown.writer, recorder)
            transport.start()
            try typed.writer.write("one")
            try await loop.sleep(for: .seconds(1))
            transport.pauseReading()
            try typed.writer.write("two")
            try await loop.sleep(for: .seconds(1))
            #expect(recorder.events == [.made, .data("one")])
            transport.resumeReading()
            try typed.writer.close()
            try await loop.sleep(for: .seconds(1))
            #expect(recorder.events == [.made, .data("one"), .data("two"), .end])
            transport.write("answer")
            transport.close()
            try await loop.sleep(for: .seconds(1))
            #expect(recorder.events == [.made, .data("one"), .data("two"), .end, .lost(nil)])
            #expect(try shown.reader.readSome() == Array("answer".utf8))
            for descriptor in [typed.reader, shown.reader, shown.writer] { try descriptor.close() }
        }
    }

    /// As in a shell: `program < file > file`. No selector watches a file.
    // covers: 205
    @Test(arguments: TestLoop.all)
    func regularFilesAreStandardStreamsToo(kind: TestLoop) async throws {
        try await withFiles { input, output in
            let sent = pattern(1 << 20)
            _ = try input.writeAll(sent)
            _ = try input.seek(offset: 0, from: .start)
            try await withLoop(kind) { loop in
                let (reader, writer) = try loop.standardStreams(input, output).makeStreams(limitBytes: 100)
                while let chunk = try await reader.readChunk() { try await writer.write(chunk) }
                writer.close()
                try await writer.waitClosed()
            }
            #expect(try output.seek(offset: 0, from: .start) == 0)
            var written: [UInt8] = []
            while written.count < sent.count { written += try output.readSome() }
            #expect(written == sent)
        }
    }

    // covers: 205
    @Test(arguments: TestLoop.all)
    func terminalIsBothStreams(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let ends = try TestTerminal(isRaw: false)
            let (reader, writer) = try loop.standardStreams(ends.terminal, ends.terminal).makeStreams(limitBytes: 100)
            try ends.controller.write("typed\n")
            #expect(try await reader.readLine() == "typed")
            try await writer.write("shown\n")
            let screen = try await loop.openReadPipe(try ends.controller.shared())
            // The echo of what was typed comes first.
            #expect(try await screen.readUntil("shown\r\n") == Array("typed\r\nshown\r\n".utf8))
            #expect(try !ends.terminal.isNonBlocking)
            try ends.controller.write("\u{4}")
            #expect(try await reader.readLine() == nil)
            writer.close()
            try ends.terminal.close()
            try ends.controller.close()
        }
    }

    /// As under inetd(8).
    // covers: 205
    @Test(arguments: TestLoop.all)
    func socketIsBothStreams(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let (near, far) = try Socket.pair()
            try near.setNonBlocking(false)
            let (reader, writer) = try loop.standardStreams(near.descriptor, near.descriptor).makeStreams(
                limitBytes: 100)
            sendByte(far)
            #expect(try await reader.readExactly(1) == [1])
            try await writer.write("answer")
            #expect(try far.descriptor.readSome() == Array("answer".utf8))
            #expect(try !near.isNonBlocking())
            writer.close()
            near.close()
            far.close()
        }
    }

    // covers: 199
    @Test(.expectsReleasedFiles, arguments: TestLoop.all)
    func readerOfTheOutputThatLeavesEndsTheConnection(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let (typed, shown) = (try PipeEnds(), try PipeEnds())
            let (reader, writer) = try loop.standardStreams(typed.reader, shown.writer).makeStreams(limitBytes: 100)
            let reading = loop.createTask { try await reader.readLine() }
            for _ in 0..<20 { await loop.yield() }
            try shown.reader.close()
            let failure = await #expect(throws: IOError.self) { try await reading.value }
            #expect(failure?.errno == .brokenPipe)
            await #expect(throws: IOError.self) { try await writer.waitClosed() }
            for descriptor in [typed.reader, typed.writer, shown.writer] { try descriptor.close() }
        }
    }

    @Test(arguments: TestLoop.all)
    func missingStreamIsAnError(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let pipe = try PipeEnds()
            let none = FileDescriptor(rawValue: -1)
            for (input, output) in [(none, pipe.writer), (pipe.reader, none)] {
                let failure = #expect(throws: IOError.self) { _ = try loop.standardStreams(input, output) }
                #expect(failure?.errno == .badFileDescriptor)
            }
            let directory = try FileDescriptor.open("/tmp", .readOnly)
            #expect(code { _ = try loop.standardStreams(directory, pipe.writer) } == .invalidArgument)
            #expect(loop.statistics.sources == 0)
            for descriptor in [pipe.reader, pipe.writer, directory] { try descriptor.close() }
        }
    }

    @Test(arguments: TestLoop.all)
    func endpointIsForClients(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            #expect("\(Endpoint.standardStreams)" == "the standard streams")
            let code = await asyncCode { _ = try await loop.startServer(on: .standardStreams) { _, _ in } }
            #expect(code == .invalidArgument)
            let local = ConnectionOptions(localAddress: SocketAddress(literal: "127.0.0.1", port: 0))
            let other = await asyncCode { _ = try await loop.openConnection(to: .standardStreams, options: local) }
            #expect(other == .invalidArgument)
        }
    }

    /// The child's own standard streams, which the exit test redirects to pipes and `/dev/null`.
    // covers: 205, 310
    @Test(.startsProcess)
    func processUsesItsOwnStreams() async throws {
        let result = await #expect(
            processExitsWith: .success, observing: [\.standardOutputContent, \.standardErrorContent]
        ) {
            let pipe = try PipeEnds()
            try pipe.writer.write("first\nsecond\n")
            try pipe.writer.close()
            dup2(pipe.reader.rawValue, 0)
            try await withLoop { loop in
                let input = try await StandardStreams.openInput(on: loop)
                #expect(try await input.readLine() == "first")
                let output = try await StandardStreams.openOutput(on: loop)
                try await output.write("to output\n")
                output.close()
                let error = try await StandardStreams.openError(on: loop)
                try await error.write("to error\n")
                error.close()
                #expect(try await input.readLine() == "second")
                #expect(try await input.readLine() == nil)
            }
            try await withLoop { loop in
                try await loop.withConnection(to: .standardStreams) { reader, writer in
                    #expect(try await reader.readLine() == nil)
                    try await writer.write("to the connection\n")
                }
            }
            for number: CInt in 0...2 { #expect(try !FileDescriptor(rawValue: number).isNonBlocking) }
        }
        let shown = String(decoding: result?.standardOutputContent ?? [], as: UTF8.self)
        #expect(shown.contains("to output\n") && shown.contains("to the connection\n"))
        let errors = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
        #expect(errors.contains("to error\n"))
    }
}

extension EventLoop {
    fileprivate func standardStreams(
        _ input: FileDescriptor, _ output: FileDescriptor, _ consumer: (any StreamProtocol)? = nil
    ) throws -> StreamTransport {
        StreamTransport(
            loop: self, driver: try openStandardStreams(input: input, output: output), consumer: consumer,
            peerAddress: nil)
    }
}

/// Calls `body` with two empty files, which are removed.
private func withFiles(_ body: (FileDescriptor, FileDescriptor) async throws -> Void) async throws {
    var files: [FileDescriptor] = []
    for _ in 0..<2 {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("asyncio-\(UUID().uuidString)").path
        let options: FileDescriptor.OpenOptions = [.create, .exclusiveCreate, .closeOnExec]
        files.append(try .open(path, .readWrite, options: options, permissions: .ownerReadWrite))
        unlink(path)
    }
    defer { for file in files { try? file.close() } }
    try await body(files[0], files[1])
}
