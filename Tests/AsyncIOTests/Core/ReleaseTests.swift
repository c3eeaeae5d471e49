import AsyncIOTesting
import CAsyncIO
import SystemPackage
import Testing

@testable import AsyncIO

/// What is closed is released, by whomever it was used, and what outlives its loop does no harm.
struct ReleaseTests {
    // covers: 322
    @Test(arguments: TestLoop.allAndFiltered)
    func closedConnectionsServersAndLoopsAreReleased(kind: TestLoop) async throws {
        final class Weak {
            weak var loop: EventLoop?
            weak var server: Server?
            weak var client: Recorder?
            weak var accepted: Recorder?
            weak var transport: StreamTransport?
            weak var peer: StreamTransport?
            weak var streamTransport: StreamTransport?
            weak var captured: Counted?

            var remaining: [String] {
                var names: [String] = []
                if loop != nil { names.append("loop") }
                if server != nil { names.append("server") }
                if client != nil { names.append("client") }
                if accepted != nil { names.append("accepted protocol") }
                if transport != nil { names.append("transport") }
                if peer != nil { names.append("accepted transport") }
                if streamTransport != nil { names.append("transport of streams") }
                if captured != nil { names.append("captured by a handler") }
                return names
            }
        }
        try OtherThread.run {
            let weak = Weak()
            do {
                let loop = try kind.makeLoop()
                weak.loop = loop
                nonisolated(unsafe) let noted = weak
                try loop.runUntilComplete { try await use(loop, noted) }
                // Only the loop itself remains, which this scope retains.
                #expect(weak.remaining == ["loop"])
                try loop.close()
            }
            #expect(weak.remaining == [])

            func use(_ loop: EventLoop, _ weak: Weak) async throws {
                let server = try await loop.createServer(host: "127.0.0.1", port: 0) {
                    let accepted = Recorder()
                    accepted.reaction = { [unowned accepted] event, transport in
                        weak.peer = transport
                        if event == .end { transport.close() }
                        _ = accepted.events
                    }
                    weak.accepted = accepted
                    return accepted
                }
                weak.server = server
                let client = Recorder()
                // The protocol and the transport refer to each other while the connection exists.
                let (transport, _) = try await loop.createConnection(to: .address(server.address)) { client }
                weak.client = client
                weak.transport = transport
                transport.write("x")
                transport.close()
                await loop.until { client.events.last == .lost(nil) && server.connectionCount == 0 }
                server.close()
                try await server.waitClosed()
                let captured = Counted(Counter())
                weak.captured = captured
                let streams = try await loop.startServer(host: "127.0.0.1", port: 0) { reader, writer in
                    captured.touch()
                    _ = try await reader.readLine()
                    writer.close()
                }
                let (reader, writer) = try await loop.openConnection(to: .address(streams.address))
                weak.streamTransport = writer.transport
                try await writer.write("x\n")
                _ = try await reader.readLine()
                writer.close()
                try await writer.waitClosed()
                streams.close()
                try await streams.waitClosed()
                await loop.until { loop.statistics.sources == 0 && loop.statistics.tasks == 1 }
                await loop.yield()
            }
        }
    }

    // covers: 323
    @Test(.startsProcess) func closedTransportOutlivesItsLoopAndTouchesNoDescriptorOfOthers() async {
        await #expect(processExitsWith: .success) {
            try await openDispatchDescriptors()
            for kind in TestLoop.allAndFiltered {
                try OtherThread.run {
                    for closesBefore in [true, false] {
                        let loop = try kind.makeLoop()
                        nonisolated(unsafe) var held: (client: StreamTransport, server: Server, writer: StreamWriter)?
                        try loop.runUntilComplete {
                            let server = try await loop.createServer(host: "127.0.0.1", port: 0) { EchoProtocol() }
                            let (client, _) = try await loop.createConnection(to: .address(server.address)) {
                                Recorder()
                            }
                            let (_, writer) = try await loop.openConnection(to: .address(server.address))
                            await loop.until { server.connectionCount == 2 }
                            if closesBefore {
                                client.close()
                                writer.close()
                                server.close()
                                try await writer.waitClosed()
                                await loop.until { server.connectionCount == 0 && loop.statistics.sources == 0 }
                            }
                            held = (client, server, writer)
                        }
                        let socket = held!.client.socket
                        try loop.close()
                        // The numbers of the connections have new owners.
                        let pairs = try (0..<8).map { _ in try Socket.pair() }
                        held!.client.close()
                        held!.client.abort()
                        held!.client.reset()
                        held!.client.write("x")
                        held!.writer.close()
                        held!.writer.abort()
                        held!.server.close()
                        try #require(held!.client.isClosing)
                        _ = (socket.description, "\(held!.client) \(held!.server) \(held!.writer)")
                        // Released on yet another thread, after the loop.
                        nonisolated(unsafe) var last = held
                        held = nil
                        try OtherThread.run { last = nil }
                        for (near, far) in pairs {
                            try #require(near.sendNow("ping") == 4)
                            var bytes = [UInt8](repeating: 0, count: 8)
                            let received = bytes.withUnsafeMutableBytes { far.receive(into: $0) }
                            guard case .bytes(4) = received else { throw EventLoopError(.busy, "\(received)") }
                            near.close()
                            far.close()
                        }
                        try #require(last == nil)
                    }
                }
            }
        }
    }

    /// Operations that wait for something that never comes.
    private static func waits(_ near: Socket, _ far: Socket) -> [@Sendable (EventLoop) async throws -> Void] {
        [
            { loop in try await loop.sleep(for: .seconds(3_600)) },
            { loop in try await loop.waitReadable(near.descriptor) },
            { loop in _ = try await loop.sock.recv(far, maxBytes: 1) },
            { _ in try await Event().wait() },
            { _ in _ = try await Queue<Int>().get() },
            { loop in _ = try await loop.createFuture(of: Int.self).value },
            { loop in
                let server = try await loop.createServer(host: "127.0.0.1", port: 0) { EchoProtocol() }
                let (reader, writer) = try await loop.openConnection(to: .address(server.address))
                defer { writer.close() }
                _ = try await reader.readLine()
            },
        ]
    }

    // covers: 324
    @Test(arguments: TestLoop.all)
    func tasksThatWaitAreEndedByTheCloseAndWhatTheyHoldIsReleased(kind: TestLoop) async throws {
        try await withLoopThread(kind, LoopTestOptions(allowsLeftoverWork: true)) { loop in
            let (near, far) = try Socket.pair()
            defer {
                near.close()
                far.close()
            }
            let released = Counter()
            let outcomes = Outcomes()
            nonisolated(unsafe) let noted = outcomes
            let waits = Self.waits(near, far)
            try loop.runUntilComplete {
                for (number, wait) in waits.enumerated() {
                    let captured = Counted(released)
                    let body = { @Sendable () async -> Void in
                        await noted.note(number) {
                            defer { captured.touch() }
                            try await wait(loop)
                            return "ended"
                        }
                    }
                    Task(executorPreference: loop, operation: body)
                }
                await loop.until { loop.statistics.waitingTasks == waits.count }
            }
            #expect(outcomes.texts.isEmpty && released.value == 0)
            try loop.close()
            #expect(outcomes.texts == Dictionary(uniqueKeysWithValues: waits.indices.map { ($0, "closed") }))
            #expect(released.value == waits.count)
        }
    }

    // covers: 324
    @Test(arguments: TestLoop.all)
    func runnerCancelsTasksThatStillWaitAndReleasesTheLoop(kind: TestLoop) async throws {
        try OtherThread.run {
            let released = Counter()
            weak var dropped: EventLoop?
            var runner: Runner? = Runner(loopFactory: { try kind.makeLoop() })
            try runner?.run { loop in
                let captured = Counted(released)
                for _ in 0..<3 {
                    loop.createBackgroundTask {
                        defer { captured.touch() }
                        let server = try await loop.createServer(host: "127.0.0.1", port: 0) { EchoProtocol() }
                        try await server.serveForever()
                    }
                    loop.createBackgroundTask { try await Lock().withLock { try await captured.waitForever(on: loop) } }
                }
                await loop.until { loop.statistics.waitingTasks == 6 }
            }
            dropped = try runner?.getLoop()
            #expect(dropped != nil)
            try runner?.close()
            runner = nil
            #expect(dropped == nil && released.value == 1)
        }
    }
}

extension Counted {
    fileprivate func waitForever(on loop: EventLoop) async throws { try await loop.sleep(for: .seconds(3_600)) }
}
