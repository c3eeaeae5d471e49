import AsyncIOSystem
import AsyncIOTesting
import CAsyncIO
import Selectors
import SystemPackage
import Testing

@testable import AsyncIO

/// Beyond what the scenarios of Tests/Differential compare with asyncio.
struct EventLoopReadersTests {
    // covers: 112, 113
    @Test(arguments: LoopKind.available)
    func callbacksAreCalledInEachTickInWhichTheDescriptorIsReadyUntilTheyAreRemoved(kind: LoopKind) async throws {
        try await withLoop(kind) { loop in
            try await withSockets { end, peer in
                var reads = 0
                var writes = 0
                try loop.addReader(end.descriptor) { reads += 1 }
                for _ in 0..<3 { await loop.yield() }
                #expect(reads == 0)
                sendByte(peer)
                await loop.until { reads > 0 }
                // Nobody has read: it goes on, once a tick.
                for _ in 0..<3 { await loop.yield() }
                #expect(reads == 4)
                #expect(loop.removeReader(end.descriptor))
                for _ in 0..<3 { await loop.yield() }
                #expect(reads == 4)

                try loop.addWriter(end.descriptor) { writes += 1 }
                await loop.until { writes > 0 }
                for _ in 0..<3 { await loop.yield() }
                #expect(writes == 4)
                #expect(loop.removeWriter(end.descriptor))
                for _ in 0..<3 { await loop.yield() }
                #expect(writes == 4)
                #expect(loop.statistics.sources == 0)
            }
        }
    }

    // covers: 114
    @Test(arguments: LoopKind.available)
    func aSecondCallbackReplacesTheFirstWhichIsNotCalledAnyMore(kind: LoopKind) async throws {
        try await withLoop(kind) { loop in
            try await withSockets { end, peer in
                var calls: [String] = []
                sendByte(peer)
                final class Captured {}
                var captured: Captured? = Captured()
                weak let observed = captured
                try loop.addReader(end.descriptor) { [captured] in
                    withExtendedLifetime(captured) { calls.append("first reader") }
                }
                captured = nil
                try loop.addReader(end.descriptor) { calls.append("reader") }
                #expect(observed == nil)
                try loop.addWriter(end.descriptor) { calls.append("first writer") }
                try loop.addWriter(end.descriptor) { calls.append("writer") }
                await loop.until { calls.count >= 2 }
                #expect(Set(calls) == ["reader", "writer"])
                #expect(loop.statistics.sources == 1)
                #expect(loop.removeReader(end.descriptor))
                #expect(loop.removeWriter(end.descriptor))
            }
        }
    }

    // covers: 115, 122
    @Test(arguments: LoopKind.available)
    func theReaderAndTheWriterOfADescriptorAreIndependent(kind: LoopKind) async throws {
        try await withLoop(kind) { loop in
            try await withSockets { end, peer in
                var reads = 0
                var writes = 0
                try loop.addReader(end.descriptor) { reads += 1 }
                try loop.addWriter(end.descriptor) { writes += 1 }
                await loop.until { writes > 1 }
                // Writable is not readable.
                #expect(reads == 0)
                #expect(loop.removeWriter(end.descriptor))
                sendByte(peer)
                await loop.until { reads > 1 }
                let written = writes
                try loop.addWriter(end.descriptor) { writes += 1 }
                #expect(loop.removeReader(end.descriptor))
                let read = reads
                await loop.until { writes > written + 1 }
                // Readable is not writable's business.
                #expect(reads == read)
                #expect(loop.removeWriter(end.descriptor))
                #expect(!loop.removeWriter(end.descriptor))
            }
        }
    }

    // covers: 116
    @Test(arguments: LoopKind.available)
    func removingSaysWhetherThereWasSomething(kind: LoopKind) async throws {
        try await withLoop(kind) { loop in
            try withSockets { end, _ in
                #expect(!loop.removeReader(end.descriptor))
                #expect(!loop.removeWriter(end.descriptor))
                try loop.addReader(end.descriptor) {}
                #expect(!loop.removeWriter(end.descriptor))
                #expect(loop.removeReader(end.descriptor))
                #expect(!loop.removeReader(end.descriptor))
                #expect(!loop.removeReader(FileDescriptor(rawValue: -1)))
                #expect(!loop.removeWriter(FileDescriptor(rawValue: .max)))
            }
            let (closed, peer) = try Socket.pair()
            peer.close()
            closed.close()
            #expect(!loop.removeReader(closed.descriptor))
        }
    }

    // covers: 116
    @Test(arguments: LoopKind.available)
    func aClosedLoopHasNothingToRemove(kind: LoopKind) async throws {
        try await withLoopThread(kind) { loop in
            let (end, peer) = try Socket.pair()
            try loop.addReader(end.descriptor) {}
            try loop.addWriter(end.descriptor) {}
            try loop.close()
            #expect(!loop.removeReader(end.descriptor))
            #expect(!loop.removeWriter(end.descriptor))
            #expect(code { try loop.addReader(end.descriptor) {} } == .closed)
            end.close()
            peer.close()
        }
    }

    // covers: 120
    @Test(arguments: LoopKind.available)
    func whatIsNoDescriptorIsRefusedAndLeavesNothing(kind: LoopKind) async throws {
        try await withLoop(kind) { loop in
            for number: CInt in [-1, .min] {
                let descriptor = FileDescriptor(rawValue: number)
                #expect(code { try loop.addReader(descriptor) {} } == .invalidArgument)
                #expect(code { try loop.addWriter(descriptor) {} } == .invalidArgument)
                #expect(await asyncCode { try await loop.waitReadable(descriptor) } == .invalidArgument)
                #expect(await asyncCode { try await loop.waitWritable(descriptor) } == .invalidArgument)
            }
            // Numbers that no test opens.
            for number: CInt in [CInt.max, 60_000, 70_000] {
                let closed = FileDescriptor(rawValue: number)
                if kind == .select {
                    #expect(code { try loop.addReader(closed) {} } == .tooManyDescriptors)
                    #expect(await asyncCode { try await loop.waitWritable(closed) } == .tooManyDescriptors)
                } else {
                    let error = #expect(throws: IOError.self) { try loop.addReader(closed) {} }
                    #expect(error?.operation == "watch descriptor \(number)")
                    await #expect(throws: IOError.self) { try await loop.waitWritable(closed) }
                }
                #expect(!loop.removeReader(closed))
            }
            #expect(loop.statistics.sources == 0)
            #expect(loop.statistics.waitingTasks == 0)
        }
    }

    // covers: 121
    @Test(arguments: LoopKind.available)
    func manyAreWatchedClosedAndRemovedInOneTick(kind: LoopKind) async throws {
        try await withLoop(kind) { loop in
            var calls = 0
            for round in 0..<20 {
                for _ in 0..<50 {
                    let (end, peer) = try Socket.pair()
                    try loop.addReader(end.descriptor) { calls += 1 }
                    try loop.addWriter(end.descriptor) { calls += 1 }
                    sendByte(peer)
                    // In either order: the second is a mistake that must harm nobody else.
                    if round % 2 == 0 {
                        loop.removeReader(end.descriptor)
                        loop.removeWriter(end.descriptor)
                        end.close()
                    } else {
                        end.close()
                        #expect(loop.removeReader(end.descriptor))
                        #expect(loop.removeWriter(end.descriptor))
                    }
                    peer.close()
                }
                await loop.yield()
            }
            #expect(calls == 0)
            #expect(loop.statistics.sources == 0)
            try await withEchoConnection(on: loop) { reader, writer in
                try await writer.write("still here")
                #expect(try await reader.readExactly(10).count == 10)
            }
        }
    }

    // covers: 121
    @Test func aTransportOnTheNumberOfASocketThatWasClosedUnderItsWatchersEndsThem() async throws {
        try await withLoop(.auto) { loop in
            let (end, peer) = try Socket.pair()
            final class Captured {}
            var captured: Captured? = Captured()
            weak let observed = captured
            try loop.addReader(end.descriptor) { [captured] in withExtendedLifetime(captured) {} }
            captured = nil
            let waiting = loop.createTask { try await loop.waitWritable(peer.descriptor) }
            end.close()
            // The lowest number is the next one's, unless another test was faster.
            let (again, third) = try Socket.pair()
            if again.number == end.number {
                let driver = try loop.makeStreamDriver(again)
                #expect(observed == nil)
                driver.closeSocket()
            } else {
                again.close()
                loop.removeReader(end.descriptor)
            }
            try await waiting.value
            third.close()
            peer.close()
            #expect(loop.statistics.sources == 0)
        }
    }

    @Test(arguments: LoopKind.available)
    func aDescriptorThatWasClosedAndOpenedAgainUnderItsReaderCanBeWatchedAnew(kind: LoopKind) async throws {
        try await withLoop(kind) { loop in
            try await withSockets { end, peer in
                let (other, otherPeer) = try Socket.pair()
                try loop.addReader(other.descriptor) {}
                // Another file under the same number: the kernel's watch is gone.
                #expect(dup2(end.number, other.number) == other.number)
                var reads = 0
                var writes = 0
                try loop.addWriter(other.descriptor) { writes += 1 }
                try loop.addReader(other.descriptor) { reads += 1 }
                sendByte(peer)
                await loop.until { reads > 0 && writes > 0 }
                #expect(loop.removeReader(other.descriptor))
                #expect(loop.removeWriter(other.descriptor))
                other.close()
                otherPeer.close()
            }
        }
    }

    @Test func aHangUpWakesTheReaderAndTheWriter() async throws {
        try await withLoop(.auto) { loop in
            let (end, peer) = try Socket.pair()
            // No room for a write.
            let full = [UInt8](repeating: 1, count: 1 << 16)
            while case .bytes = full.withUnsafeBytes({ end.send($0) }) {}
            let writing = loop.createTask { try await loop.waitWritable(end.descriptor) }
            let reading = loop.createTask { try await loop.waitReadable(end.descriptor) }
            await loop.until { loop.statistics.waitingTasks >= 2 }
            peer.close()
            try await writing.value
            try await reading.value
            end.close()
        }
    }

    @Test func aSelectorThatRefusesLeavesNothing() async throws {
        try await withScriptedSelector { loop, selector in
            let descriptor = FileDescriptor(rawValue: 900)
            selector.nextError = .noSpace
            let error = #expect(throws: IOError.self) { try loop.addReader(descriptor) {} }
            #expect(error?.errno == .noSpace)
            #expect(loop.statistics.sources == 0)
            try loop.addReader(descriptor) {}
            // What was there stays.
            selector.nextError = .noMemory
            #expect(throws: IOError.self) { try loop.addWriter(descriptor) {} }
            #expect(selector.registrations[descriptor]?.interest == .read)
            selector.nextError = .noMemory
            await #expect(throws: IOError.self) { try await loop.waitWritable(descriptor) }
            #expect(loop.statistics.waitingTasks == 0)
            #expect(loop.removeReader(descriptor))
            #expect(!loop.removeWriter(descriptor))
            #expect(selector.registrations.isEmpty)
            #expect(loop.statistics.sources == 0)
        }
    }

    @Test func aLoopOverCompletionSaysThatItWatchesNothing() async throws {
        try await withScriptedNetwork(.completion) { network in
            let loop = network.loop
            #expect(code { try loop.addReader(.standardInput) {} } == .unsupported)
            #expect(!loop.removeReader(.standardInput))
            #expect(await asyncCode { try await loop.waitReadable(.standardInput) } == .unsupported)
            #expect(await asyncCode { _ = try await loop.sockRecv(Socket(number: 0), maxBytes: 1) } == .unsupported)
        }
    }

    // covers: 117
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
            sendByte(peer)
            try loop.runForever()
            #expect(calls == ["reader", "new writer in tick 2"])
        }
    }

    // covers: 117
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
            sendByte(peer)
            try loop.runForever()
            #expect(calls == ["reader"])
        }
    }

    // covers: 122
    @Test func aTaskThatWaitsAndACallbackDoNotPushEachOtherAway() async throws {
        try await withPair { loop, end, peer in
            try loop.runUntilComplete {
                let task = loop.createTask { try await loop.waitReadable(end.descriptor) }
                await loop.yield()
                #expect(code { try loop.addReader(end.descriptor) {} } == .busy)
                #expect(await asyncCode { try await loop.waitReadable(end.descriptor) } == .busy)
                // It is not the callback's to remove.
                #expect(!loop.removeReader(end.descriptor))
                sendByte(peer)
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
                sendByte(peer)
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
            let (end, peer) = try Socket.pair()
            let task = Task { try await loop.waitReadable(end.descriptor) }
            sendByte(peer)
            try await task.value
            #expect(loop.statistics.hops == 1)
            end.close()
            peer.close()
        }
    }

    // covers: 120
    @Test(arguments: LoopKind.available)
    func aRegularFileIsReadyOrRefusedByTheSelector(kind: LoopKind) async throws {
        try await withLoop(kind) { loop in
            let file = try FileDescriptor.open(#filePath, .readOnly)
            if kind == .epoll {
                let error = #expect(throws: IOError.self) { try loop.addReader(file) {} }
                #expect(error?.errno == .notPermitted)
                #expect(!loop.removeReader(file))
            } else {
                var calls = 0
                try loop.addReader(file) { calls += 1 }
                await loop.until { calls > 0 }
                #expect(loop.removeReader(file))
            }
            #expect(loop.statistics.sources == 0)
            try file.close()
        }
    }

    // covers: 118
    @Test(arguments: LoopKind.available)
    func aDescriptorOfATransportIsNotToBeWatched(kind: LoopKind) async throws {
        try await withLoop(kind, patiently) { loop in
            try await withStreamPair(on: loop) { writer, _ in
                let socket = writer.transport.driver.socket
                let descriptor = socket.descriptor
                #expect(code { try loop.addReader(descriptor) {} } == .descriptorInUse)
                #expect(code { try loop.addWriter(descriptor) {} } == .descriptorInUse)
                #expect(await asyncCode { try await loop.waitReadable(descriptor) } == .descriptorInUse)
                #expect(await asyncCode { _ = try await loop.sockRecv(socket, maxBytes: 1) } == .descriptorInUse)
                #expect(await asyncCode { _ = try await loop.sockAccept(socket) } == .descriptorInUse)
                #expect(code { try loop.sockClose(socket) } == .descriptorInUse)
                #expect(!loop.removeReader(descriptor))
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

/// A loop on a selector that the test plays.
private func withScriptedSelector(
    _ body: @escaping @Sendable (SelectorEventLoop, ScriptedSelector) async throws -> Void
) async throws {
    let clock = VirtualClock()
    nonisolated(unsafe) let selector = ScriptedSelector(clock: clock)
    let makeLoop = { try SelectorEventLoop(selector: selector, clock: clock) }
    try await withLoop(makeLoop: makeLoop) { loop in
        try await body(loop, selector)
    }
}
