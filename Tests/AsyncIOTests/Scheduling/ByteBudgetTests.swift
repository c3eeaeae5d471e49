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
                try network.connect(Counting { tally.add($0, of: number) })
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
    @Test func manyTasksThatWriteShareAnIteration() async throws {
        try await withScriptedNetwork(.readiness, patiently) { network in
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
            await network.loop.until { network.loop.statistics.tasks == 1 }
            probe.stop()
            #expect(peers.allSatisfy { $0.written.count == piece.count })
            #expect(probe.largest <= 2 * Self.mostPerIteration)
            #expect(probe.steps >= 12)
        }
    }

    /// Bytes that protocols have queued while their peers were slow are sent in portions too.
    // covers: F17
    @Test func manyWriteQueuesShareAnIteration() async throws {
        try await withScriptedNetwork(.readiness, patiently) { network in
            let piece = [UInt8](repeating: 3, count: 1 << 20)
            let connections = try (0..<40).map { _ in try network.connect(Counting { _ in }) }
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
    @Test func writesOfManyCallbacksShareAnIteration() async throws {
        try await withScriptedNetwork(.readiness, patiently) { network in
            let greeting = [UInt8](repeating: 4, count: 1 << 20)
            let connections = try (0..<40).map { _ in try network.connect(Counting { _ in }) }
            await network.idle()
            let probe = IterationProbe(network.loop) { connections.reduce(0) { $0 + $1.peer.written.count } }
            for connection in connections { connection.transport.write(greeting) }
            await network.loop.until { connections.allSatisfy { $0.peer.written.count == greeting.count } }
            probe.stop()
            #expect(probe.largest <= Self.mostPerIteration + greeting.count)
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
                        Counting { tally.add($0, of: number) }
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
                    Counting {
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

    /// Peers that always have more to send are served in order, by protocols and by tasks.
    // covers: F17
    @Test func floodsAreServedInOrder() async throws {
        try await withScriptedNetwork(.readiness, patiently) { network in
            let loop = network.loop
            let tally = ByteTally(loop)
            let flood = [UInt8](repeating: 5, count: 256 * 1024)
            var refills: [() -> Void] = []
            func received(_ count: Int, of number: Int) {
                tally.add(count, of: number)
                if tally.total < 24 << 20 { refills[number]() }
            }
            var transports: [StreamTransport] = []
            for number in 0..<4 {
                let (transport, peer) = try network.connect(Counting { received($0, of: number) })
                transports.append(transport)
                refills.append { peer.sends(flood) }
            }
            for number in 4..<8 {
                let (reader, writer, peer) = try network.openStreams()
                transports.append(writer.transport)
                refills.append { peer.sends(flood) }
                _ = loop.createTask {
                    var buffer = [UInt8](repeating: 0, count: 64 * 1024)
                    while let count = try await reader.read(into: &buffer) { received(count, of: number) }
                }
            }
            await network.idle()
            for refill in refills { refill() }
            await loop.until { tally.total >= 24 << 20 }
            let counts = (0..<8).map { tally.byConnection[$0] ?? 0 }
            #expect(counts.min()! * 3 >= counts.max()!, "\(counts)")
            await network.idle()
            for transport in transports { transport.close() }
            await loop.until { loop.statistics.tasks == 1 }
        }
    }

    /// The job of an actor on the loop is queued and does not run at once. There must be budget left for it
    /// nevertheless.
    // covers: F17
    @Test func actorIsServedBesideFloods() async throws {
        try await withScriptedNetwork(.readiness, patiently) { network in
            let loop = network.loop
            let tally = ByteTally(loop)
            let flood = [UInt8](repeating: 6, count: 256 * 1024)
            var refills: [() -> Void] = []
            var transports: [StreamTransport] = []
            for number in 0..<10 {
                let (transport, peer) = try network.connect(
                    Counting {
                        tally.add($0, of: number)
                        if tally.total < 200 << 20 { refills[number]() }
                    })
                transports.append(transport)
                refills.append { peer.sends(flood) }
            }
            let (reader, writer, peer) = try network.openStreams()
            let actor = LoopActor(loop)
            nonisolated(unsafe) let streams = (reader, writer)
            let echo = loop.createTask { try await actor.echo(streams.0, streams.1) }
            await network.idle()
            for refill in refills { refill() }
            for round in 1...10 {
                peer.sends("x")
                let before = loop.statistics.ticks
                await loop.until { peer.written.count == round }
                #expect(loop.statistics.ticks - before < 40)
            }
            #expect(tally.total < 200 << 20)
            peer.ends()
            try await echo.value
            tally.total = .max
            await network.idle()
            for transport in transports { transport.close() }
        }
    }

    /// A connection that sends now and then does not wait behind those that always have more.
    // covers: F17
    @Test func pingDoesNotWaitForAllFloods() async throws {
        try await withScriptedNetwork(.readiness, patiently) { network in
            let loop = network.loop
            let flood = [UInt8](repeating: 7, count: 512 * 1024)
            var isOver = false
            var refills: [() -> Void] = []
            var transports: [StreamTransport] = []
            for number in 0..<10 {
                let (transport, peer) = try network.connect(Counting { _ in if !isOver { refills[number]() } })
                transports.append(transport)
                refills.append { peer.sends(flood) }
            }
            let (transport, peer) = try network.connect(EchoProtocol())
            transports.append(transport)
            await network.idle()
            for refill in refills { refill() }
            for _ in 0..<20 { await loop.yield() }
            for round in 1...10 {
                peer.sends("x")
                let before = loop.statistics.ticks
                await loop.until { peer.written.count == round }
                #expect(loop.statistics.ticks - before <= 3)
            }
            isOver = true
            await network.idle()
            for transport in transports { transport.close() }
        }
    }

    /// A connection that becomes ready in the same iteration as a flood, but later, is served before it.
    // covers: F17
    @Test func floodsRunLastInAnIteration() async throws {
        try await withScriptedNetwork(.readiness, patiently) { network in
            let flood = [UInt8](repeating: 8, count: 200_000)
            var order: [Int] = []
            let connections = try (0..<3).map { number in
                try network.connect(Counting { _ in order.append(number) })
            }
            await network.idle()
            // From now on the first two are bulk connections.
            for connection in connections[..<2] { connection.peer.sends(flood) }
            await network.idle()
            order = []
            for connection in connections[..<2] { connection.peer.sends(flood) }
            connections[2].peer.sends("x")
            let ticks = network.loop.statistics.ticks
            await network.loop.until { order.count == 3 }
            #expect(network.loop.statistics.ticks - ticks <= 2)
            #expect(order == [2, 0, 1])
            await network.idle()
            for connection in connections { connection.transport.close() }
        }
    }

    /// A connection that was deferred may make one call without budget. It does not retain that right when it has made
    /// one.
    // covers: F17
    @Test func deferredConnectionsUseUpTheirGrant() async throws {
        try await withScriptedNetwork(.readiness, patiently) { network in
            let flood = [UInt8](repeating: 9, count: 200_000)
            var received = 0
            let connections = try (0..<40).map { _ in try network.connect(Counting { received += $0 }) }
            await network.idle()
            for _ in 0..<2 {
                received = 0
                for connection in connections { connection.peer.sends(flood) }
                await network.loop.until { received == 40 * flood.count }
            }
            #expect(connections.allSatisfy { $0.transport.driver.grants.isEmpty })
            for connection in connections { connection.transport.close() }
        }
    }

    /// A listener that accepts many connections at once does not become a bulk connection.
    // covers: F17
    @Test(arguments: TestLoop.all)
    func listenerIsNeverBulk(kind: TestLoop) async throws {
        try await withLoop(kind, patiently) { loop in
            let server = try await loop.createServer(host: "127.0.0.1", port: 0) { EchoProtocol() }
            let address = try #require(server.localAddresses.first)
            let clients = try (0..<16).map { _ in
                let client = try Socket.stream(for: address)
                _ = try client.connect(to: address)
                return client
            }
            while server.acceptedCount < clients.count {
                await loop.yield()
                #expect(!server.listeners[0].driver.isBulk)
            }
            server.close()
            server.abortClients()
            try await server.waitClosed()
            for client in clients { client.close() }
        }
    }

    // covers: 36
    @Test func loopCanBeClosedWhileConnectionsAreDeferred() async throws {
        try await withScriptedNetworkThread(.readiness) { network in
            let loop = network.loop
            var served = 0
            for _ in 0..<40 {
                let (_, peer) = try network.connect(
                    Counting { _ in
                        served += 1
                        loop.stop()
                    })
                peer.sends(Self.message)
            }
            try loop.runForever()
            #expect(served < 20)
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
private final class Counting: StreamProtocol {
    private let received: (Int) -> Void

    init(_ received: @escaping (Int) -> Void) {
        self.received = received
    }

    func connectionMade(_ transport: StreamTransport) {}
    func dataReceived(_ data: RawSpan) { received(data.byteCount) }
    func connectionLost(_ error: (any Error)?) {}
}

private actor LoopActor {
    private let loop: EventLoop
    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.serialExecutor.asUnownedSerialExecutor() }

    init(_ loop: EventLoop) {
        self.loop = loop
    }

    func echo(_ reader: StreamReader, _ writer: StreamWriter) async throws {
        var buffer = [UInt8](repeating: 0, count: 1_000)
        while let count = try await reader.read(into: &buffer) { try await writer.write(Array(buffer[..<count])) }
        writer.close()
    }
}
