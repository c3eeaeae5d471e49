import AsyncIO
import AsyncIOTesting
import Foundation
import Synchronization
import Testing

/// Actors that use a loop, and actors that run on one.
struct ActorTests {
    /// A default actor runs on the thread that holds it, so its waits must not touch the loop's state on that thread.
    // covers: 91
    @Test(arguments: TestLoop.all)
    func actorThatThePoolUsesTooMayWaitOnTheLoop(kind: TestLoop) async throws {
        try await withLoop(kind, patiently) { loop in
            let actor = BusyActor()
            let isOver = Flag()
            try await withStreamPair(on: loop) { writer, reader in
                nonisolated(unsafe) let reader = reader
                await withTaskGroup(of: Void.self) { group in
                    for _ in 0..<2 {
                        group.addTask { while !isOver.isSet { await actor.spin() } }
                    }
                    for round in 0..<50 {
                        let sleeping = loop.createTask { try await actor.sleep(on: loop) }
                        let reading = loop.createTask { try await actor.read(reader) }
                        await loop.yield()
                        if round.isMultiple(of: 2) { sleeping.cancel() }
                        try? await writer.write("x")
                        _ = await sleeping.result
                        let byte = try? await reading.value
                        #expect(byte == [UInt8(ascii: "x")])
                    }
                    isOver.set()
                }
            }
        }
    }

    /// After the close, another thread serves the loop's actors, and never two threads at once.
    // covers: F33
    @Test(arguments: TestLoop.all)
    func actorOfAClosingLoopHasOneThreadAtATime(kind: TestLoop) async throws {
        try await withLoopThread(kind) { _ in
            for _ in 0..<rounds(debug: 5, full: 20) {
                let loop = try kind.makeLoop()
                let actor = ExclusiveActor(loop)
                let isOver = Flag()
                let ended = DispatchGroup()
                for _ in 0..<16 {
                    ended.enter()
                    Task.detached {
                        while !isOver.isSet { await actor.visit() }
                        ended.leave()
                    }
                }
                loop.callLater(after: .milliseconds(5)) { loop.stop() }
                try loop.runForever()
                try loop.close()
                isOver.set()
                ended.wait()
                #expect(actor.overlaps.load(ordering: .relaxed) == 0)
            }
        }
    }
}

private actor BusyActor {
    func spin() { for _ in 0..<1_000 { _ = currentThread() } }

    func sleep(on loop: EventLoop) async throws { try await loop.sleep(for: .milliseconds(1)) }

    func read(_ reader: sending StreamReader) async throws -> [UInt8] { try await reader.read(maxBytes: 1) }
}

private actor ExclusiveActor {
    private let loop: EventLoop
    private let inside = Atomic<Int>(0)
    nonisolated let overlaps = Atomic<Int>(0)
    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.serialExecutor.asUnownedSerialExecutor() }

    init(_ loop: EventLoop) {
        self.loop = loop
    }

    func visit() {
        if inside.add(1, ordering: .sequentiallyConsistent).oldValue != 0 { overlaps.add(1, ordering: .relaxed) }
        for _ in 0..<100 { _ = currentThread() }
        inside.subtract(1, ordering: .sequentiallyConsistent)
    }
}
