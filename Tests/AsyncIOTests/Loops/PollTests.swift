import AsyncIOTesting
import Proactors
import SystemPackage
import Testing

@testable import AsyncIO

/// How a completion loop watches a descriptor: by a poll operation that it submits again.
struct PollTests {
    @Test func failedPollIsReportedOnceAndSubmittedAgainForANewWatch() async throws {
        try await withPlayedProactor { loop, proactor, end in
            var reads = 0
            try loop.addReader(end.descriptor) { reads += 1 }
            proactor.complete(proactor.operations[0].token, result: -Int(Errno.badFileDescriptor.rawValue))
            await loop.until { reads > 0 }
            for _ in 0..<3 { await loop.yield() }
            #expect(reads == 1)
            #expect(proactor.operations.isEmpty)
            try loop.addWriter(end.descriptor) {}
            #expect(proactor.operations.map(\.operation.interest) == [[.read, .write]])
            loop.removeReader(end.descriptor)
            loop.removeWriter(end.descriptor)
        }
    }

    @Test func submissionThatFailsAfterAnEventIsTriedAgainWithoutAWait() async throws {
        try await withPlayedProactor { loop, proactor, end in
            var reads = 0
            try loop.addReader(end.descriptor) {
                reads += 1
                // The next submission is that of the poll.
                if reads == 1 { proactor.nextError = .noMemory }
            }
            proactor.complete(proactor.operations[0].token, result: 1)
            let start = loop.now
            loop.callLater(after: .seconds(60)) {}
            await withUnsafeContinuation { continuation in
                proactor.whenIdle { continuation.resume() }
            }
            // Once for the event, and once because the level is unknown.
            #expect(reads == 2)
            #expect(loop.now == start)
            #expect(proactor.operations.map(\.operation.interest) == [.read])
            loop.removeReader(end.descriptor)
        }
    }

    @Test func eventOfAFormerInterestIsDropped() async throws {
        try await withPlayedProactor { loop, proactor, end in
            proactor.cancelsAtOnce = false
            var calls: [String] = []
            try loop.addReader(end.descriptor) { calls.append("reader") }
            let former = proactor.operations[0].token
            try loop.addWriter(end.descriptor) {
                calls.append("writer")
                loop.removeWriter(end.descriptor)
            }
            proactor.complete(former, result: 1)
            for _ in 0..<3 { await loop.yield() }
            #expect(calls.isEmpty)
            let operation = try #require(proactor.operations.first { !$0.isCancelled })
            #expect(operation.operation.interest == [.read, .write])
            proactor.complete(operation.token, result: 2)
            await loop.until { !calls.isEmpty }
            #expect(calls == ["writer"])
            loop.removeReader(end.descriptor)
            proactor.cancelsAtOnce = true
            for operation in proactor.operations {
                proactor.complete(operation.token, result: -Int(Errno.canceled.rawValue))
            }
        }
    }
}

/// Calls `body` with a loop whose operations the test completes, and a socket.
private func withPlayedProactor(
    _ body: @escaping @Sendable (ProactorEventLoop, ScriptedProactor, Socket) async throws -> Void
) async throws {
    let clock = VirtualClock()
    nonisolated(unsafe) let proactor = ScriptedProactor(clock: clock)
    proactor.carriesOutOperations = false
    let makeLoop = { try ProactorEventLoop(proactor: proactor, clock: clock) }
    try await withLoop(makeLoop: makeLoop, LoopTestOptions(allowsLeftoverWork: true)) { loop in
        let (end, peer) = try Socket.pair()
        try await body(loop, proactor, end)
        try loop.sock.close(end)
        peer.close()
    }
}
