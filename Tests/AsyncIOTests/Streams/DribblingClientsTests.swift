import AsyncIOTesting
import CAsyncIO
import SystemPackage
import Testing

@testable import AsyncIO

/// Clients that send a byte a minute, to occupy a server. `ASYNCIO_LOAD=full` runs 2,000 of them, except on select(2).
@Suite(.serialized) struct DribblingClientsTests {
    private static let minutes = 4
    /// Between two bytes.
    private static let limit = Duration.seconds(60 * minutes + 30)

    /// The clients, which send a byte each.
    private static func dribble(_ clients: [Socket]) {
        for client in clients { #expect([UInt8(ascii: "G")].withUnsafeBytes { client.send($0) } == .bytes(1)) }
    }

    private static func connect(_ count: Int, to server: Server, on loop: EventLoop) async throws -> [Socket] {
        var clients: [Socket] = []
        for _ in 0..<count {
            let client = try Socket.stream(.ipv4)
            _ = try client.connect(to: server.address)
            clients.append(client)
            // The kernel has room for as many as the backlog says.
            if clients.count.isMultiple(of: 50) { await loop.until { server.connectionCount == clients.count } }
        }
        await loop.until { server.connectionCount == count }
        return clients
    }

    private static func count(on kind: TestLoop) -> Int {
        isFullLoad && kind.name != "select" ? 2_000 : 100
    }

    /// In pull style, the whole request has a time limit.
    // covers: F64
    @Test(arguments: TestLoop.all)
    func timeLimitOfARequestEndsEachOfThem(kind: TestLoop) async throws {
        let count = Self.count(on: kind)
        raiseDescriptorLimit()
        try await withVirtualTimeLoop(kind) { loop, _ in
            var late = 0
            var served = 0
            let server = try await loop.startServer(host: "127.0.0.1", port: 0) { reader, writer in
                do {
                    _ = try await withTimeout(Self.limit) { try await reader.readUntil("\r\n\r\n") }
                    served += 1
                    try await writer.write("welcome")
                } catch let error as EventLoopError where error.code == .timedOut {
                    late += 1
                }
            }
            let clients = try await Self.connect(count, to: server, on: loop)
            let start = loop.now
            for _ in 0..<Self.minutes {
                try await loop.sleep(for: .seconds(60))
                Self.dribble(clients)
                #expect(server.connectionCount == count)
                // One for each of them, and none for the bytes that have come.
                #expect(loop.statistics.timers <= count + 1)
            }
            #expect(late == 0)

            // Another client is served meanwhile.
            let (reader, writer) = try await loop.openConnection(host: "127.0.0.1", port: server.port)
            try await writer.write("GET\r\n\r\n")
            #expect(try await reader.readExactly(7) == Array("welcome".utf8))
            writer.close()
            #expect(served == 1)

            try await loop.sleep(until: start.advanced(by: Self.limit + .seconds(1)))
            await loop.until { server.connectionCount == 0 }
            #expect(late == count)
            #expect(loop.statistics.timers == 0)
            for client in clients { client.close() }
            server.close()
        }
    }

    /// In push style, a timer that every byte sets again costs no memory.
    // covers: F64
    @Test(arguments: TestLoop.all)
    func idleTimerOfEachConnectionCostsNoMemory(kind: TestLoop) async throws {
        let count = Self.count(on: kind)
        raiseDescriptorLimit()
        try await withVirtualTimeLoop(kind) { loop, _ in
            let server = try await loop.createServer(host: "127.0.0.1", port: 0) { IdleLimit(.seconds(90)) }
            let clients = try await Self.connect(count, to: server, on: loop)
            for _ in 0..<20 {
                try await loop.sleep(for: .seconds(60))
                Self.dribble(clients)
                // Its bytes have arrived when the timers of all were set again.
                for _ in 0..<20 { await loop.yield() }
                #expect(loop.statistics.timers <= count)
                #expect(loop.core.pointee.timers.count <= 2 * count + 64)
            }
            #expect(server.connectionCount == count)
            // Nobody sends any more.
            try await loop.sleep(for: .seconds(91))
            await loop.until { server.connectionCount == 0 }
            for client in clients { client.close() }
            server.close()
        }
    }
}

/// Aborts a connection that was silent for too long.
private final class IdleLimit: StreamProtocol {
    private let limit: Duration
    private var timer: TimerHandle?
    private var transport: StreamTransport?

    init(_ limit: Duration) { self.limit = limit }

    func connectionMade(_ transport: StreamTransport) {
        self.transport = transport
        start()
    }

    func dataReceived(_ data: RawSpan) {
        timer?.cancel()
        start()
    }

    private func start() {
        guard let transport else { return }
        timer = transport.loop.callLater(after: limit) { transport.abort() }
    }

    func connectionLost(_ error: (any Error)?) {
        timer?.cancel()
        (timer, transport) = (nil, nil)
    }
}
