import AsyncIOTesting
import Testing

@testable import AsyncIO

/// One iteration moves a bounded number of bytes over all connections, and those that wait are served in order.
struct ByteBudgetTests {
    /// The last receive and the last send of an iteration may go beyond the budget.
    private static let mostPerIteration = ByteBudget.bytesPerIteration + 2 * ByteBudget.mostOverdrawnBytes
    private static let message = [UInt8](repeating: 1, count: 200_000)

    // covers: F17
    @Test(arguments: ScriptedBackend.allCases)
    func manyPushConnectionsShareAnIteration(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend, patiently) { network in
            let tally = ByteTally(network.loop)
            let connections = try (0..<40).map { number in
                try network.connect(ByteCounter { tally.add($0, of: number) })
            }
            await network.idle()
            for connection in connections { connection.peer.sends(Self.message) }
            await network.idle()
            #expect(tally.byConnection.values.allSatisfy { $0 == Self.message.count })
            #expect(tally.byConnection.count == 40)
            #expect(tally.byIteration.values.max()! <= Self.mostPerIteration)
            #expect(tally.byIteration.count >= 3)
            for connection in connections { connection.transport.close() }
        }
    }

    // covers: F17
    @Test(arguments: ScriptedBackend.allCases)
    func manyTasksThatReadShareAnIteration(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend, patiently) { network in
            let tally = ByteTally(network.loop)
            let peers = try (0..<40).map { number in
                let (reader, _, peer) = try network.openStreams()
                _ = network.loop.createTask {
                    for try await chunk in reader.chunks { tally.add(chunk.count, of: number) }
                }
                return peer
            }
            await network.idle()
            for peer in peers {
                peer.sends(Self.message)
                peer.ends()
            }
            await network.loop.until { network.loop.statistics.tasks == 1 }
            #expect(tally.byConnection.values.allSatisfy { $0 == Self.message.count })
            #expect(tally.byConnection.count == 40)
            #expect(tally.byIteration.values.max()! <= Self.mostPerIteration)
            #expect(tally.byIteration.count >= 3)
            // The network does not retain its peers, and an optimised build releases them after their last use.
            withExtendedLifetime(peers) {}
        }
    }

    // covers: F17
    @Test(arguments: ScriptedBackend.allCases)
    func manyTasksThatWriteShareAnIteration(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend, patiently) { network in
            let piece = [UInt8](repeating: 2, count: 1 << 20)
            let peers = try (0..<40).map { _ in
                let (_, writer, peer) = try network.openStreams()
                _ = network.loop.createTask {
                    try await writer.write(piece)
                    writer.close()
                }
                return peer
            }
            let probe = IterationProbe(network.loop) { peers.reduce(0) { $0 + $1.written.count } }
            // The driver may send the last bytes after the task has ended.
            await network.loop.until { network.loop.statistics.sources == 0 }
            probe.stop()
            #expect(peers.allSatisfy { $0.written.count == piece.count })
            #expect(probe.largest <= 2 * Self.mostPerIteration)
            #expect(probe.steps >= 12)
        }
    }

    /// Bytes that protocols have queued while their peers were slow are sent in portions too.
    // covers: F17
    @Test(arguments: ScriptedBackend.allCases)
    func manyWriteQueuesShareAnIteration(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend, patiently) { network in
            let piece = [UInt8](repeating: 3, count: 1 << 20)
            let connections = try (0..<40).map { _ in try network.connect(ByteCounter { _ in }) }
            await network.idle()
            for connection in connections {
                connection.peer.blocksWrites()
                connection.transport.write(piece)
            }
            await network.idle()
            let probe = IterationProbe(network.loop) { connections.reduce(0) { $0 + $1.peer.written.count } }
            for connection in connections { connection.peer.unblocksWrites() }
            await network.loop.until { connections.allSatisfy { $0.peer.written.count == piece.count } }
            probe.stop()
            #expect(probe.largest <= 2 * Self.mostPerIteration)
            #expect(probe.steps >= 12)
            for connection in connections { connection.transport.close() }
        }
    }

    /// Many protocols that write at once, in callbacks, exceed the budget by a bounded number of bytes.
    // covers: F17
    @Test(arguments: ScriptedBackend.allCases)
    func writesOfManyCallbacksShareAnIteration(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend, patiently) { network in
            let greeting = [UInt8](repeating: 4, count: 1 << 20)
            let connections = try (0..<40).map { _ in try network.connect(ByteCounter { _ in }) }
            await network.idle()
            let probe = IterationProbe(network.loop) { connections.reduce(0) { $0 + $1.peer.written.count } }
            for connection in connections { connection.transport.write(greeting) }
            await network.loop.until { connections.allSatisfy { $0.peer.written.count == greeting.count } }
            probe.stop()
            #expect(probe.largest <= 2 * Self.mostPerIteration)
            for connection in connections { connection.transport.close() }
        }
    }

    // covers: F17
    @Test(arguments: TestLoop.all, [true, false])
    func realConnectionsShareAnIteration(kind: TestLoop, pushes: Bool) async throws {
        try await withLoop(kind, patiently) { loop in
            let tally = ByteTally(loop)
            var transports: [StreamTransport] = []
            var peers: [Socket] = []
            for number in 0..<40 {
                let (near, far) = try Socket.pair()
                peers.append(far)
                if pushes {
                    let (transport, _) = try await loop.createConnection(to: .socket(near)) {
                        ByteCounter { tally.add($0, of: number) }
                    }
                    transports.append(transport)
                } else {
                    let (reader, _) = try await loop.openConnection(to: .socket(near))
                    _ = loop.createTask {
                        for try await chunk in reader.chunks { tally.add(chunk.count, of: number) }
                    }
                }
            }
            for _ in 0..<10 { await loop.yield() }
            let sent = fillAndClose(peers)
            await loop.until { tally.byConnection == sent }
            #expect(tally.byIteration.values.max()! <= Self.mostPerIteration)
            for transport in transports { transport.close() }
            await loop.until { loop.statistics.sources == 0 }
        }
    }

    // covers: F17
    @Test(arguments: TestLoop.all)
    func rawSocketOperationsShareAnIteration(kind: TestLoop) async throws {
        try await withLoop(kind, patiently) { loop in
            let tally = ByteTally(loop)
            var peers: [Socket] = []
            var tasks: [Task<Void, any Error>] = []
            for number in 0..<40 {
                let (near, far) = try Socket.pair()
                peers.append(far)
                tasks.append(
                    loop.createTask {
                        defer { try? loop.sock.close(near) }
                        var buffer = [UInt8](repeating: 0, count: 100_000)
                        while case let count = try await loop.sock.recv(near, into: &buffer), count > 0 {
                            tally.add(count, of: number)
                        }
                    })
            }
            await loop.untilWatched(40)
            let sent = fillAndClose(peers)
            for task in tasks { try await task.value }
            #expect(tally.byConnection == sent)
            #expect(tally.byIteration.values.max()! <= Self.mostPerIteration)
        }
    }

    // covers: F17
    @Test(arguments: ScriptedBackend.allCases)
    func dueTimerRunsBeforeAllConnectionsAreServed(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend, patiently) { network in
            let tally = ByteTally(network.loop)
            var movedBefore: Int?
            network.loop.callLater(after: .milliseconds(1)) { movedBefore = tally.total }
            let connections = try (0..<40).map { number in
                try network.connect(
                    ByteCounter {
                        if tally.byConnection.isEmpty { network.clock.advance(by: .milliseconds(2)) }
                        tally.add($0, of: number)
                    })
            }
            await network.idle()
            for connection in connections { connection.peer.sends(Self.message) }
            await network.loop.until { tally.total == 40 * Self.message.count }
            // Due during the first iteration, it runs in the second one.
            #expect(movedBefore.map { $0 <= 2 * Self.mostPerIteration } == true)
            await network.idle()
            for connection in connections { connection.transport.close() }
        }
    }

    // covers: 36
    @Test(arguments: ScriptedBackend.allCases)
    func loopCanBeClosedWhileConnectionsAreDeferred(backend: ScriptedBackend) async throws {
        try await withScriptedNetworkThread(backend) { network in
            let loop = network.loop
            var served = 0
            for _ in 0..<40 {
                let (_, peer) = try network.connect(
                    ByteCounter { _ in
                        served += 1
                        loop.stop()
                    })
                peer.sends(Self.message)
            }
            try loop.runForever()
            #expect(served < 160)
            try loop.close()
        }
    }
}

/// Sends as many bytes as fit into each socket, and shuts down its write side. Returns the numbers by the index of the
/// socket.
private func fillAndClose(_ sockets: [Socket]) -> [Int: Int] {
    let bytes = [UInt8](repeating: 9, count: 64 * 1024)
    var sent: [Int: Int] = [:]
    for (number, socket) in sockets.enumerated() {
        while case .bytes(let count) = bytes.withUnsafeBytes({ socket.send($0) }) { sent[number, default: 0] += count }
        socket.close()
    }
    return sent
}

/// Reports the number of received bytes.
final class ByteCounter: StreamProtocol {
    private let received: (Int) -> Void

    init(_ received: @escaping (Int) -> Void) {
        self.received = received
    }

    func connectionMade(_ transport: StreamTransport) {}
    func dataReceived(_ data: RawSpan) { received(data.byteCount) }
    func connectionLost(_ error: (any Error)?) {}
}
