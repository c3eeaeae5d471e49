import AsyncIOSystem
import AsyncIOTesting
import Selectors
import SystemPackage
import Testing

@testable import AsyncIO

/// Beyond what the scenarios of Tests/Differential compare with asyncio.
struct SelectorEventLoopReadersTests {
    /// In asyncio the reader and the writer are handles of their own, and a replaced one's handle is cancelled.
    @Test func aReaderThatReplacesTheWriterOfItsEventKeepsBothFromRunning() async throws {
        try await withPair { loop, end, peer in
            var calls: [String] = []
            try loop.addReader(end.descriptor) {
                calls.append("reader")
                loop.removeReader(end.descriptor)
                try loop.addWriter(end.descriptor) {
                    calls.append("new writer in tick \(loop.virtualSelector.waits)")
                    loop.removeWriter(end.descriptor)
                    loop.stop()
                }
            }
            try loop.addWriter(end.descriptor) { calls.append("old writer") }
            send(peer)
            try loop.runForever()
            #expect(calls == ["reader", "new writer in tick 2"])
        }
    }

    @Test func aReaderThatRemovesTheWriterOfItsEventKeepsItFromRunning() async throws {
        try await withPair { loop, end, peer in
            var calls: [String] = []
            try loop.addWriter(end.descriptor) { calls.append("writer") }
            try loop.addReader(end.descriptor) {
                calls.append("reader")
                loop.removeWriter(end.descriptor)
                loop.removeReader(end.descriptor)
                loop.stop()
            }
            send(peer)
            try loop.runForever()
            #expect(calls == ["reader"])
        }
    }

    @Test func aTaskThatWaitsAndACallbackDoNotPushEachOtherAway() async throws {
        try await withPair { loop, end, peer in
            try loop.runUntilComplete {
                let task = loop.createTask { try await loop.waitReadable(end.descriptor) }
                await loop.yield()
                #expect(code { try loop.addReader(end.descriptor) {} } == .busy)
                #expect(await asyncCode { try await loop.waitReadable(end.descriptor) } == .busy)
                // It is not the callback's to remove.
                #expect(!loop.removeReader(end.descriptor))
                send(peer)
                try await task.value

                try loop.addReader(end.descriptor) {}
                #expect(await asyncCode { try await loop.waitReadable(end.descriptor) } == .busy)
                #expect(loop.removeReader(end.descriptor))
                #expect(loop.statistics.waitingTasks == 0)
            }
        }
    }

    @Test func oneEventWakesTheTaskThatReadsAndTheOneThatWrites() async throws {
        try await withPair { loop, end, peer in
            try loop.runUntilComplete {
                var order: [String] = []
                let reading = loop.createTask {
                    try await loop.waitReadable(end.descriptor)
                    order.append("reader")
                }
                let writing = loop.createTask {
                    try await loop.waitWritable(end.descriptor)
                    order.append("writer")
                }
                send(peer)
                try await reading.value
                try await writing.value
                #expect(order == ["reader", "writer"])
                #expect(loop.statistics.sources == 0)
            }
        }
    }

    @Test(arguments: [false, true])
    func aCancelledWaitLeavesNoWatchBehind(recorded: Bool) async throws {
        try await withPair { loop, end, _ in
            try loop.runUntilComplete {
                for _ in 0..<3 {
                    let task =
                        recorded
                        ? loop.createTask { try await loop.waitReadable(end.descriptor) }
                        : Task(executorPreference: loop) { try await loop.waitReadable(end.descriptor) }
                    while loop.statistics.sources == 0 { await loop.yield() }
                    task.cancel()
                    await #expect(throws: CancellationError.self) { try await task.value }
                    #expect(loop.statistics.sources == 0)
                }
            }
        }
    }

    @Test func aTaskOfThePoolWaitsOnTheLoop() async throws {
        try await withLoop(.auto, patiently) { loop in
            let loop = try #require(loop as? SelectorEventLoop)
            let (end, peer) = try Socket.pair()
            let task = Task { try await loop.waitReadable(end.descriptor) }
            send(peer)
            try await task.value
            #expect(loop.statistics.hops == 1)
            end.close()
            peer.close()
        }
    }

    @Test func aRegularFileCannotBeWatched() async throws {
        try await withLoopThread { loop in
            let loop = try #require(loop as? SelectorEventLoop)
            let file = try FileDescriptor.open(#filePath, .readOnly)
            #expect(throws: IOError.self) { try loop.addReader(file) {} }
            #expect(loop.statistics.sources == 0)
            #expect(!loop.removeReader(file))
            try file.close()
        }
    }

    @Test func aDescriptorOfATransportIsNotToBeWatched() async throws {
        try await withLoop(.auto, patiently) { loop in
            let selecting = try #require(loop as? SelectorEventLoop)
            try await withStreamPair(on: loop) { writer, _ in
                let descriptor = writer.transport.driver.socket.descriptor
                #expect(code { try selecting.addReader(descriptor) {} } == .descriptorInUse)
                #expect(code { try selecting.addWriter(descriptor) {} } == .descriptorInUse)
                #expect(await asyncCode { try await selecting.waitReadable(descriptor) } == .descriptorInUse)
                #expect(!selecting.removeReader(descriptor))
            }
        }
    }

    private func withPair(_ body: @escaping @Sendable (VirtualLoop, Socket, Socket) throws -> Void) async throws {
        try await withLoopThread(makeLoop: VirtualLoop.init) { loop in
            let (end, peer) = try Socket.pair()
            defer {
                end.close()
                peer.close()
            }
            try body(loop, end, peer)
        }
    }
}

private func send(_ socket: Socket) {
    let sent = [UInt8(1)].withUnsafeBytes { socket.send($0) }
    guard case .bytes(1) = sent else { preconditionFailure("the socket takes nothing") }
}
