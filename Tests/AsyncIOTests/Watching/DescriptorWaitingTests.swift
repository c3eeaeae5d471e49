import AsyncIO
import AsyncIOSystem
import AsyncIOTesting
import SystemPackage
import Testing

/// Tasks that wait for a descriptor.
struct DescriptorWaitingTests {
    @Test(arguments: TestLoop.all)
    func hangUpWakesTheReaderAndTheWriter(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
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

    // covers: 122
    @Test(arguments: TestLoop.all)
    func waitingTaskAndCallbackDoNotReplaceEachOther(kind: TestLoop) async throws {
        try await withVirtualPair(kind) { loop, end, peer in
            try loop.runUntilComplete {
                let task = loop.createTask { try await loop.waitReadable(end.descriptor) }
                await loop.yield()
                #expect(code { try loop.addReader(end.descriptor) {} } == .busy)
                #expect(await asyncCode { try await loop.waitReadable(end.descriptor) } == .busy)
                // A task cannot be removed as if it were a callback.
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

    @Test(arguments: TestLoop.all)
    func oneEventWakesBothTheReadingAndTheWritingTask(kind: TestLoop) async throws {
        try await withVirtualPair(kind) { loop, end, peer in
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

    @Test(arguments: TestLoop.all, [false, true])
    func cancelledWaitLeavesNoRegistration(kind: TestLoop, recorded: Bool) async throws {
        try await withVirtualPair(kind) { loop, end, _ in
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

    @Test(arguments: TestLoop.all)
    func taskOfTheThreadPoolWaitsOnTheLoop(kind: TestLoop) async throws {
        try await withLoop(kind, patiently) { loop in
            let (end, peer) = try Socket.pair()
            let task = Task { try await loop.waitReadable(end.descriptor) }
            sendByte(peer)
            try await task.value
            #expect(loop.statistics.hops == 1)
            end.close()
            peer.close()
        }
    }
}
