import AsyncIOTesting
import Testing

@testable import AsyncIO

/// The compiler allows a task to carry a loop's stream elsewhere. The functions of the stream then hop to their loop.
struct HopTests {
    /// The task begins on the loop, and would continue on the pool after each suspension.
    // covers: 91
    @Test(arguments: TestLoop.all)
    func taskThatRunsOnTheLoopByChanceHopsForTheWholeOperation(kind: TestLoop) async throws {
        guard #available(macOS 26, *) else { return }
        try await withLoop(kind, patiently) { loop in
            let server = try await loop.startServer(host: "127.0.0.1", port: 0) { _, writer in
                try await writer.write("abc")
                for _ in 0..<5 { await loop.yield() }
                try await writer.write("def\n")
            }
            let port = server.port
            let connecting = Task.immediate {
                try await loop.createConnection(host: "127.0.0.1", port: port) { EchoProtocol() }
                    .transport.peerAddress?.port
            }
            #expect(try await connecting.value == port)
            let (reader, writer) = try await loop.openConnection(host: "127.0.0.1", port: port)
            let before = loop.statistics.hops
            nonisolated(unsafe) let shared = reader
            let reading = Task.immediate { try await shared.readLine() }
            #expect(try await reading.value == "abcdef")
            // One hop for the whole line.
            #expect(loop.statistics.hops - before == 1)
            writer.close()
            server.close()
            server.closeClients()
            try await server.waitClosed()
        }
    }

    @Test(arguments: TestLoop.all)
    func hoppingOperationRunsOnTheLoopFromItsFirstStepAndReturns(kind: TestLoop) async throws {
        try await withLoop(kind, patiently) { loop in
            let home = currentThread()
            let threads = try await Task.detached {
                let before = currentThread()
                let there = try await loop.hop { currentThread() }
                let nested = try await loop.withAffinity { _ in (currentThread(), loop.isOnLoop) }
                return (before, there, nested, currentThread())
            }.value
            #expect(threads.0 != home)
            #expect(threads.1 == home)
            #expect(threads.2 == (home, true))
            #expect(threads.3 != home)
            #expect(loop.statistics.hops == 2)
        }
    }

    // covers: 104
    @Test(arguments: TestLoop.all)
    func taskOffTheLoopThatUsesAStreamHopsInsteadOfRacing(kind: TestLoop) async throws {
        try await withLoop(kind, patiently) { loop in
            try await withEchoConnection(on: loop) { reader, writer in
                nonisolated(unsafe) let (reader, writer) = (reader, writer)
                let before = loop.statistics.hops
                let rounds = 200
                let stray = Task {
                    #expect(!loop.isOnLoop)
                    for round in 0..<rounds {
                        let sent = Self.message(round)
                        try await writer.write(sent)
                        #expect(try await reader.readExactly(sent.count) == sent)
                        #expect(!loop.isOnLoop)
                    }
                }
                // The loop runs other tasks meanwhile.
                for _ in 0..<rounds { await loop.yield() }
                try await stray.value
                // One hop for each call.
                #expect(loop.statistics.hops - before == rounds * 2)
                #expect(loop.isOnLoop)
            }
        }
    }

    // covers: 108
    @Test(arguments: TestLoop.all)
    func tasksOfTwoLoopsMayExchangeTheirStreams(kind: TestLoop) async throws {
        try await withLoop(kind, patiently) { first in
            try await withLoop(kind, patiently) { second in
                let (mine, theirs) = (Streams(), Streams())
                // `mine` belongs to the first loop and is used by a task of the second, and vice versa.
                async let one: Void = Task(executorPreference: first) {
                    try await withEchoConnection(on: first) { reader, writer in
                        mine.offer(reader, writer)
                        try await theirs.echo(from: second)
                        await mine.returned()
                    }
                }.value
                async let other: Void = Task(executorPreference: second) {
                    try await withEchoConnection(on: second) { reader, writer in
                        theirs.offer(reader, writer)
                        try await mine.echo(from: first)
                        await theirs.returned()
                    }
                }.value
                _ = try await (one, other)
                #expect(second.statistics.hops > 100)
            }
            #expect(first.statistics.hops > 100)
        }
    }

    @Test(arguments: TestLoop.all)
    func streamReleasedOnAnotherThreadClosesItsConnection(kind: TestLoop) async throws {
        try await withLoop(kind, patiently) { loop in
            let ends = Ends()
            let server = try await loop.startServer(host: "127.0.0.1", port: 0) { reader, _ in
                if try await reader.readLine() == nil { ends.count += 1 }
            }
            for _ in 0..<10 {
                let streams = try await loop.openConnection(host: "127.0.0.1", port: server.port)
                // The other thread releases the last reference.
                let box = Dropped(streams: streams)
                try OtherThread.run { box.streams = nil }
            }
            // A connection that was not accepted would end with the listening socket.
            while server.acceptedCount < 10 { await loop.yield() }
            server.close()
            try await server.waitClosed()
            #expect(ends.count == 10)
        }
    }

    private static func message(_ round: Int) -> [UInt8] {
        (0..<(round * 37 % 3_000 + 1)).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ round) }
    }

    private final class Ends {
        var count = 0
    }

    private final class Dropped {
        var streams: (reader: StreamReader, writer: StreamWriter)?

        init(streams: (reader: StreamReader, writer: StreamWriter)) {
            self.streams = streams
        }
    }

    /// Passes a loop's streams to a task of another loop, and is notified when they are no longer used there.
    private final class Streams: @unchecked Sendable {
        // Under a lock, because the thread sanitizer does not see the synchronization within an AsyncStream.
        private let streams = Locked<(reader: StreamReader, writer: StreamWriter)?>(nil)
        private let offered = AsyncStream.makeStream(of: Void.self)
        private let given = AsyncStream.makeStream(of: Void.self)

        func offer(_ reader: StreamReader, _ writer: StreamWriter) {
            streams.withLock { $0 = (reader, writer) }
            offered.continuation.yield()
        }

        func echo(from owner: EventLoop) async throws {
            for await _ in offered.stream { break }
            defer { given.continuation.yield() }
            let home = currentThread()
            guard let (reader, writer) = streams.withLock({ $0.take() }) else { return }
            for round in 0..<60 {
                let sent = HopTests.message(round)
                try await writer.write(sent)
                #expect(try await reader.readExactly(sent.count) == sent)
                #expect(currentThread() == home)
                #expect(!owner.isOnLoop)
            }
        }

        func returned() async {
            for await _ in given.stream { break }
        }
    }
}
