import AsyncIOTesting
import Testing

@testable import AsyncIO

/// Waits of streams, which are stored in the record of the task.
struct RecordedWaitTests {
    @Test(arguments: ScriptedBackend.allCases)
    func readingTaskIsListedAsWaiting(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let (reader, writer, peer) = try network.openStreams()
            let reading = network.loop.createTask(name: "reading") { try await reader.read(maxBytes: 10) }
            await network.idle()
            #expect(network.loop.statistics.waitingTasks == 1)
            #expect(network.loop.tasks.first { $0.name == "reading" }?.state == .waiting)
            peer.sends("x")
            #expect(try await reading.value == [UInt8(ascii: "x")])
            #expect(network.loop.statistics.waitingTasks == 0)
            writer.close()
        }
    }

    @Test(arguments: ScriptedBackend.allCases)
    func cancelledReadTakesNothingAndTheNextReadGetsIt(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let (reader, writer, peer) = try network.openStreams()
            for _ in 0..<3 {
                let reading = network.loop.createTask { try await reader.read(maxBytes: 10) }
                await network.idle()
                reading.cancel()
                await #expect(throws: CancellationError.self) { try await reading.value }
            }
            peer.sends("kept")
            await network.idle()
            #expect(try await reader.read(maxBytes: 10) == Array("kept".utf8))
            writer.close()
        }
    }

    /// The second read waits in the same task. What ended the first read must not end it.
    @Test(arguments: ScriptedBackend.allCases)
    func taskMayWaitAgainAfterEachWait(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let (reader, writer, peer) = try network.openStreams()
            let before = network.loop.statistics.suspensions
            let reading = network.loop.createTask {
                var bytes: [UInt8] = []
                for _ in 0..<3 { bytes += try await reader.read(maxBytes: 10) }
                return bytes
            }
            for text in ["a", "b", "c"] {
                await network.idle()
                peer.sends(text)
            }
            #expect(try await reading.value == Array("abc".utf8))
            #expect(network.loop.statistics.suspensions - before >= 3)
            writer.close()
        }
    }

    @Test(arguments: ScriptedBackend.allCases, [false, true])
    func readInAnActorOfTheLoopContinuesInTheActor(backend: ScriptedBackend, isCancelled: Bool) async throws {
        try await withScriptedNetwork(backend) { network in
            let (reader, writer, peer) = try network.openStreams()
            // SAFETY: the actor runs on the loop.
            nonisolated(unsafe) let shared = reader
            let actor = ReadingActor(network.loop, shared)
            let reading = network.loop.createTask { try await actor.read() }
            await network.idle()
            if isCancelled {
                reading.cancel()
                await #expect(throws: CancellationError.self) { try await reading.value }
            }
            peer.sends("xyz")
            let count = isCancelled ? try await actor.read() : try await reading.value
            #expect(count == 3)
            #expect(await actor.reads == 1)
            writer.close()
        }
    }
}

private actor ReadingActor {
    private let loop: EventLoop
    private let reader: StreamReader
    private(set) var reads = 0

    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.serialExecutor.asUnownedSerialExecutor() }

    init(_ loop: EventLoop, _ reader: sending StreamReader) {
        self.loop = loop
        self.reader = reader
    }

    func read() async throws -> Int {
        let count = try await reader.read(maxBytes: 10).count
        preconditionIsolated()
        reads += 1
        return count
    }
}
