import AsyncIOTesting
import Foundation
import SystemPackage
import Testing

@testable import AsyncIO

/// Pipes with the readers and writers of connections.
struct PipeStreamsTests {
    // covers: 310
    @Test(arguments: TestLoop.all)
    func readerAndWriterHaveTheInterfaceOfConnections(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let pipe = try PipeEnds()
            let reader = try await loop.openReadPipe(pipe.reader)
            let writer = try await loop.openWritePipe(pipe.writer)
            try await writer.write("one\ntwo\nheader:")
            #expect(try await reader.readLine() == "one")
            #expect(try await reader.readUntil("\n") == Array("two\n".utf8))
            #expect(try await reader.readExactly(7) == Array("header:".utf8))
            try writer.transport.writeFrame(Array("frame".utf8))
            #expect(try await reader.readFrame(limitBytes: 100) == Array("frame".utf8))
            try await writer.write(contentsOf: [Array("a".utf8), Array("b".utf8)])
            if let chunk = try await reader.readChunk() { #expect(chunk.byteCount == 2) }
            try await writer.write("rest")
            try await writer.drain()
            #expect(writer.bytesWritten == 15 + 2 + 4)
            #expect(writer.canWriteEOF && writer.peerAddress == nil && writer.localAddress == nil)
            try await writer.writeEOF()
            try await writer.waitClosed()
            #expect(try await reader.readAll(limitBytes: 100) == Array("rest".utf8))
            #expect(reader.isAtEOF)
            #expect(try await reader.readLine() == nil)
        }
    }

    // covers: 204, 310
    @Test(arguments: TestLoop.all)
    func writeWaitsForASlowReader(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let pipe = try PipeEnds.small()
            let writer = try await loop.openWritePipe(pipe.writer)
            let sent = pattern(300_000)
            var isWritten = false
            let writing = loop.createTask {
                try await writer.write(sent)
                isWritten = true
                writer.close()
            }
            for _ in 0..<50 { await loop.yield() }
            #expect(!isWritten && writer.transport.writeBufferBytes == 0)
            #expect(try await loop.openReadPipe(pipe.reader).readToEnd() == sent)
            try await writing.value
        }
    }

    // covers: 310
    @Test(arguments: TestLoop.all)
    func cancelledReadHasTakenNoByte(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let pipe = try PipeEnds()
            let reader = try await loop.openReadPipe(pipe.reader)
            let task = loop.createTask { try await reader.readExactly(10) }
            try pipe.writer.write("hello")
            for _ in 0..<20 { await loop.yield() }
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
            try pipe.writer.write("again")
            #expect(try await reader.readExactly(10) == Array("helloagain".utf8))
            try pipe.writer.close()
        }
    }

    // covers: 199, 310
    @Test(.expectsReleasedFiles, arguments: TestLoop.all)
    func readerThatLeavesIsABrokenPipe(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let pipe = try PipeEnds.small()
            let writer = try await loop.openWritePipe(pipe.writer)
            let writing = loop.createTask { try await writer.write(pattern(100_000)) }
            for _ in 0..<20 { await loop.yield() }
            try pipe.reader.close()
            let failure = await #expect(throws: IOError.self) { try await writing.value }
            #expect(failure?.errno == .brokenPipe && failure?.isConnectionClosed == true)
            await #expect(throws: IOError.self) { try await writer.waitClosed() }
            await #expect(throws: IOError.self) { try await writer.write("more") }
        }
    }

    /// A task that only waits for the end learns of it.
    // covers: 199
    @Test(.expectsReleasedFiles, arguments: TestLoop.all)
    func idleWriterNoticesThatTheReaderHasLeft(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let pipe = try PipeEnds()
            let writer = try await loop.openWritePipe(pipe.writer)
            let waiting = loop.createTask { try await writer.waitClosed() }
            for _ in 0..<20 { await loop.yield() }
            try pipe.reader.close()
            let failure = await #expect(throws: IOError.self) { try await waiting.value }
            #expect(failure?.errno == .brokenPipe)
        }
    }

    @Test(.expectsReleasedFiles, arguments: TestLoop.all)
    func releasedStreamsCloseTheirDescriptors(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let first = try PipeEnds()
            _ = try await loop.openReadPipe(first.reader)
            await loop.until { first.writer.isHungUp }
            try first.writer.close()

            let second = try PipeEnds()
            _ = try await loop.openWritePipe(second.writer)
            await loop.until { second.reader.isHungUp }
            try second.reader.close()
        }
    }

    @Test(arguments: TestLoop.all)
    func taskOffTheLoopUsesAPipe(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let pipe = try PipeEnds()
            let task = Task.detached {
                let reader = try await loop.openReadPipe(pipe.reader)
                return try await reader.readLine()
            }
            try pipe.writer.write("hello\n")
            #expect(try await task.value == "hello")
            try pipe.writer.close()
        }
    }

    @Test(arguments: TestLoop.all)
    func limitMustBePositive(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let pipe = try PipeEnds()
            #expect(await asyncCode { _ = try await loop.openReadPipe(pipe.reader, limitBytes: 0) } == .invalidArgument)
            try pipe.writer.close()
        }
    }

    /// The pipe is closed without calling its protocol.
    @Test(.expectsReleasedFiles, arguments: TestLoop.all)
    func closedLoopClosesItsPipes(kind: TestLoop) async throws {
        let first = try PipeEnds()
        let second = try PipeEnds()
        try await withLoop(kind, LoopTestOptions(allowsLeftoverWork: true)) { loop in
            _ = try await loop.connectReadPipe(first.reader) { Recorder() }
            _ = try await loop.connectWritePipe(second.writer) { Recorder() }
        }
        #expect(becomesTrue { first.writer.isHungUp })
        #expect(becomesTrue { second.reader.isHungUp })
        try first.writer.close()
        try second.reader.close()
    }
}
