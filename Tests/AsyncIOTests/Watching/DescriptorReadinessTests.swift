import AsyncIOSystem
import AsyncIOTesting
import Selectors
import SystemPackage
import Testing

@testable import AsyncIO

/// A descriptor's readiness as a sequence.
struct DescriptorReadinessTests {
    @Test(arguments: TestLoop.all)
    func sequenceReportsUnusedReadinessAgainAndOnlyOnRequest(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            try await withSockets { end, peer in
                sendByte(peer)
                let moments = loop.readiness(of: end.descriptor, for: .read).makeAsyncIterator()
                var iterator = moments
                #expect(try await iterator.next() == .read)
                #expect(loop.statistics.sources == 0)
                #expect(try await iterator.next() == .read)
                let bytes = try await loop.sock.recv(end, maxBytes: 10)
                #expect(bytes == [1])
                let task = loop.createTask {
                    var iterator = moments
                    return try await iterator.next()
                }
                await loop.until { loop.statistics.sources > 0 }
                // Only one consumer may wait.
                #expect(await asyncCode { _ = try await iterator.next() } == .busy)
                sendByte(peer)
                #expect(try await task.value == .read)

                var both = loop.readiness(of: end.descriptor, for: [.read, .write]).makeAsyncIterator()
                #expect(try await both.next() == [.read, .write])
                _ = try await loop.sock.recv(end, maxBytes: 10)
                #expect(try await both.next() == .write)
                var none = loop.readiness(of: end.descriptor, for: []).makeAsyncIterator()
                #expect(await asyncCode { _ = try await none.next() } == .invalidArgument)
            }
        }
    }

    @Test(arguments: TestLoop.all)
    func sequenceEndsWhenItsTaskIsCancelledAndWhenTheSocketIsClosed(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            for isCancelled in [true, false] {
                let (end, peer) = try Socket.pair()
                let task = loop.createTask {
                    var count = 0
                    for try await _ in loop.readiness(of: end.descriptor, for: .read) {
                        count += 1
                        _ = try await loop.sock.recv(end, maxBytes: 10)
                    }
                    return count
                }
                await loop.until { loop.statistics.sources > 0 }
                sendByte(peer)
                await loop.yield()
                await loop.yield()
                if isCancelled { task.cancel() } else { try loop.sock.close(end) }
                #expect(try await task.value == 1)
                #expect(loop.statistics.sources == 0)
                if isCancelled { end.close() }
                peer.close()
            }
        }
    }

    @Test(arguments: TestLoop.all)
    func sequenceEndsWithTheLoop(kind: TestLoop) async throws {
        try await withLoopThread(kind, LoopTestOptions(allowsLeftoverWork: true)) { loop in
            let (end, peer) = try Socket.pair()
            nonisolated(unsafe) var hasEnded = false
            let task = Task(executorPreference: loop) {
                for try await _ in loop.readiness(of: end.descriptor, for: .read) {}
                hasEnded = true
            }
            for _ in 0..<3 {
                loop.stop()
                try loop.runForever()
            }
            #expect(loop.statistics.sources == 1)
            try loop.close()
            #expect(hasEnded)
            withExtendedLifetime(task) {}
            end.close()
            peer.close()
        }
    }
}
