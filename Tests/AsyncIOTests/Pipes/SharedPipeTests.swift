import AsyncIOTesting
import Foundation
import SystemPackage
import Testing

@testable import AsyncIO

/// Open files that other descriptors, and so perhaps other processes, share.
struct SharedPipeTests {
    // covers: 205
    @Test(arguments: TestLoop.all)
    func sharedOpenFileStaysBlocking(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let pipe = try PipeEnds()
            let terminal = try TestTerminal()
            let shared = try [pipe.reader, pipe.writer, terminal.terminal].map { try $0.shared() }
            let (input, _) = try await loop.connectReadPipe(pipe.reader) { Recorder() }
            let (output, _) = try await loop.connectWritePipe(pipe.writer) { Recorder() }
            let (screen, _) = try await loop.connectWritePipe(terminal.terminal) { Recorder() }
            output.write("hello")
            screen.write("hello")
            for descriptor in shared { #expect(try !descriptor.isNonBlocking) }
            for transport in [input, output, screen] { transport.close() }
            for descriptor in shared { #expect(try !descriptor.isNonBlocking) }
            for descriptor in shared { try descriptor.close() }
            try terminal.controller.close()
        }
    }

    /// The controlling side cannot be opened again: that would create another pseudo-terminal.
    // covers: 201, 205
    @Test(arguments: TestLoop.all)
    func controllingSideIsBlockingAgainWhenItWasClosed(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let terminal = try TestTerminal()
            let shared = try terminal.controller.shared()
            let (transport, recorder) = try await loop.connectReadPipe(terminal.controller) { Recorder() }
            try terminal.terminal.write("hello")
            await loop.until { recorder.received.count == 5 }
            #expect(try shared.isNonBlocking)
            transport.close()
            await loop.until { recorder.transport == nil }
            #expect(try !shared.isNonBlocking)
            try shared.close()
            try terminal.terminal.close()
        }
    }

    /// What remains if the system cannot open the file again, as without `/proc`.
    // covers: 204, 205
    @Test(arguments: TestLoop.all)
    func blockingPipeNeverBlocksTheLoop(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let pipe = try PipeEnds.small()
            let sent = pattern(200_000)
            let reader = StreamReader(try loop.blockingPipe(pipe.reader, for: .read), limitBytes: 100)
            let writer = StreamWriter(try loop.blockingPipe(pipe.writer, for: .write))
            let writing = loop.createTask {
                try await writer.write(sent)
                writer.close()
            }
            #expect(try await reader.readToEnd() == sent)
            try await writing.value
        }
    }

    // covers: 205
    @Test func blockingDescriptorsAreNeverWaitedFor() throws {
        let pipe = try PipeEnds.small()
        let terminal = try TestTerminal()
        let descriptors = [pipe.reader, pipe.writer, terminal.controller, terminal.terminal]
        defer { for descriptor in descriptors { try? descriptor.close() } }
        var memory = [UInt8](repeating: 0, count: 1 << 20)
        let calls: TransferCalls = [.file, .blocking]
        for (descriptor, calls) in [(pipe.reader, calls), (terminal.terminal, calls.union(.terminal))] {
            #expect(memory.withUnsafeMutableBytes { calls.read(descriptor, into: $0) } == .wouldBlock)
        }
        for (descriptor, calls) in [(pipe.writer, calls), (terminal.terminal, calls.union(.terminal))] {
            var written = 0
            while true {
                let result = memory.withUnsafeMutableBytes { calls.write(descriptor, $0) }
                guard case .bytes(let count) = result else {
                    #expect(result == .wouldBlock)
                    break
                }
                written += count
            }
            #expect(written >= 4096)
        }
    }
}

extension EventLoop {
    /// Creates the transport of a pipe whose open file is blocking and cannot be opened again.
    fileprivate func blockingPipe(_ descriptor: FileDescriptor, for direction: Interest) throws -> StreamTransport {
        let channel = ByteChannel(Socket(number: descriptor.rawValue), [.file, .blocking])
        return StreamTransport(
            loop: self, driver: try makePipeDriver(channel, for: direction, .pipe), consumer: nil, peerAddress: nil,
            directions: direction)
    }
}
