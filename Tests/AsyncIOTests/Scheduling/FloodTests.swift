import AsyncIOTesting
import Testing

@testable import AsyncIO

/// Connections that send without a pause are served in order, after those that send now and then.
struct FloodTests {
    /// Peers that always have more to send are served in order, by protocols and by tasks.
    // covers: F17
    @Test(arguments: ScriptedBackend.allCases)
    func floodsAreServedInOrder(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend, patiently) { network in
            let loop = network.loop
            let tally = ByteTally(loop)
            let flood = 256 * 1024
            var refills: [(Int) -> Void] = []
            func received(_ count: Int, of number: Int) {
                tally.add(count, of: number)
                if tally.total < 24 << 20 { refills[number](count) }
            }
            var transports: [StreamTransport] = []
            for number in 0..<4 {
                let (transport, peer) = try network.connect(ByteCounter { received($0, of: number) })
                transports.append(transport)
                refills.append { peer.sends([UInt8](repeating: 5, count: $0)) }
            }
            for number in 4..<8 {
                let (reader, writer, peer) = try network.openStreams()
                transports.append(writer.transport)
                refills.append { peer.sends([UInt8](repeating: 5, count: $0)) }
                _ = loop.createTask {
                    var buffer = [UInt8](repeating: 0, count: 64 * 1024)
                    while let count = try await reader.read(into: &buffer) { received(count, of: number) }
                }
            }
            await network.idle()
            for refill in refills { refill(flood) }
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
    @Test(arguments: ScriptedBackend.allCases)
    func actorIsServedBesideFloods(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend, patiently) { network in
            let loop = network.loop
            let tally = ByteTally(loop)
            let flood = 256 * 1024
            var refills: [(Int) -> Void] = []
            var transports: [StreamTransport] = []
            for number in 0..<10 {
                let (transport, peer) = try network.connect(
                    ByteCounter {
                        tally.add($0, of: number)
                        if tally.total < 200 << 20 { refills[number]($0) }
                    })
                transports.append(transport)
                refills.append { peer.sends([UInt8](repeating: 5, count: $0)) }
            }
            let (reader, writer, peer) = try network.openStreams()
            let actor = LoopActor(loop)
            nonisolated(unsafe) let streams = (reader, writer)
            let echo = loop.createTask { try await actor.echo(streams.0, streams.1) }
            await network.idle()
            for refill in refills { refill(flood) }
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
    @Test(arguments: ScriptedBackend.allCases)
    func pingDoesNotWaitForAllFloods(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend, patiently) { network in
            let loop = network.loop
            let flood = 512 * 1024
            var isOver = false
            var refills: [(Int) -> Void] = []
            var transports: [StreamTransport] = []
            for number in 0..<10 {
                let (transport, peer) = try network.connect(ByteCounter { if !isOver { refills[number]($0) } })
                transports.append(transport)
                refills.append { peer.sends([UInt8](repeating: 5, count: $0)) }
            }
            let (transport, peer) = try network.connect(EchoProtocol())
            transports.append(transport)
            await network.idle()
            for refill in refills { refill(flood) }
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

    /// A connection that becomes ready in the same iteration as a flood, but later, is served before it. A connection
    /// with a filter moves too little in one run to count as a flood.
    // covers: F17
    @Test(arguments: [ScriptedBackend.readiness, .completion])
    func floodsRunLastInAnIteration(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend, patiently) { network in
            let flood = [UInt8](repeating: 8, count: 200_000)
            var order: [Int] = []
            let connections = try (0..<3).map { number in
                try network.connect(ByteCounter { _ in order.append(number) })
            }
            await network.idle()
            // From now on the first two are bulk connections.
            for connection in connections[..<2] { connection.peer.sends(flood) }
            await network.idle()
            order = []
            for connection in connections[..<2] { connection.peer.sends(flood) }
            connections[2].peer.sends("x")
            let ticks = network.loop.statistics.ticks
            await network.loop.until { Set(order).count == 3 }
            #expect(network.loop.statistics.ticks - ticks <= 2)
            #expect(order.first == 2)
            await network.idle()
            for connection in connections { connection.transport.close() }
        }
    }

    /// A connection that was deferred may make one call without budget. It does not retain that right when it has made
    /// one.
    // covers: F17
    @Test(arguments: ScriptedBackend.allCases)
    func deferredConnectionsUseUpTheirGrant(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend, patiently) { network in
            let flood = [UInt8](repeating: 9, count: 200_000)
            var received = 0
            let connections = try (0..<40).map { _ in try network.connect(ByteCounter { received += $0 }) }
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
