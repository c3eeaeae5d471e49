import AsyncIO
import AsyncIOSystem
import AsyncIOTesting
import Testing

/// No peer, however fast, can occupy the loop: a connection has a share of each iteration.
struct FairnessTests {
    // covers: F17
    @Test(arguments: ScriptedBackend.allCases)
    func readerOfAnAlwaysReadyPeerLeavesTimeForOthers(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let (reader, writer, peer) = try network.openStreams()
            peer.sends([UInt8](repeating: 1, count: 1_000_000))
            let others = Others(network.loop)
            var buffer = [UInt8](repeating: 0, count: 1_000)
            var received = 0
            // The last bytes of a driver's buffer are fewer.
            while received < 1_000_000 { received += try #require(await reader.read(into: &buffer)) }
            others.stop()
            // At most sixteen small reads in an iteration.
            #expect(others.turns >= 1_000 / 16 - 1)
            writer.close()
        }
    }

    // covers: F17
    @Test(arguments: ScriptedBackend.allCases)
    func writerToAPeerThatKeepsUpLeavesTimeForOthers(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let (_, writer, peer) = try network.openStreams()
            await network.idle()
            let others = Others(network.loop)
            for _ in 0..<1_000 { try await writer.write([1, 2, 3]) }
            try await writer.write([UInt8](repeating: 4, count: 4 << 20))
            others.stop()
            #expect(others.turns >= 1_000 / 16 - 1)
            await network.idle()
            #expect(peer.written.count == 3_000 + (4 << 20))
            writer.close()
        }
    }

    // covers: F17
    @Test(arguments: TestLoop.all)
    func pingsAreServedWhileOthersFlood(kind: TestLoop) async throws {
        try await withLoop(kind, patiently) { loop in
            func streams(_ socket: Socket) throws -> (StreamReader, StreamWriter) {
                StreamTransport(
                    loop: loop, driver: try loop.makeStreamDriver(ByteChannel(socket)), consumer: nil, peerAddress: nil
                ).makeStreams(limitBytes: 1_000)
            }
            var flooders: [Task<Void, any Error>] = []
            var flood = 0
            for _ in 0..<4 {
                let (near, far) = try Socket.pair()
                let (_, writer) = try streams(near)
                let (reader, itsWriter) = try streams(far)
                flooders.append(loop.createTask { while true { try await writer.write(Self.much) } })
                flooders.append(
                    loop.createTask {
                        defer { itsWriter.close() }
                        for try await chunk in reader.chunks { flood += chunk.count }
                    })
            }
            let (near, far) = try Socket.pair()
            let (reader, writer) = try streams(near)
            let (itsReader, itsWriter) = try streams(far)
            let echo = loop.createTask {
                while let line = try await itsReader.readLine(strippingNewline: false) {
                    try await itsWriter.write(line)
                }
                itsWriter.close()
            }
            for _ in 0..<100 {
                let (ticks, before) = (loop.statistics.ticks, flood)
                try await writer.write("ping\n")
                #expect(try await reader.readLine() == "ping")
                #expect(loop.statistics.ticks - ticks <= 10)
                while flood == before { await loop.yield() }
            }
            writer.close()
            try await echo.value
            for task in flooders { task.cancel() }
            for task in flooders { _ = await task.result }
        }
    }

    private static let much = [UInt8](repeating: 1, count: 1 << 20)

    /// A callback in each iteration.
    private final class Others {
        private let loop: EventLoop
        private var handle: Handle?
        private(set) var turns = 0

        init(_ loop: EventLoop) {
            self.loop = loop
            turn()
        }

        func stop() { handle?.cancel() }

        private func turn() {
            turns += 1
            handle = loop.callSoon { [self] in turn() }
        }
    }
}
