import AsyncIOTesting
import SystemPackage
import Testing

@testable import AsyncIO

/// Races between the addresses of an endpoint, in virtual time, with real sockets.
struct HappyEyeballsTests {
    /// Options for connections from an address that no other test uses, so that leaked sockets can be found.
    private static func options(
        _ kind: TestLoop, _ test: Int, attemptDelay: Duration? = .milliseconds(250)
    ) throws -> (options: ConnectionOptions, host: String) {
        let index = try #require(TestLoop.all.firstIndex(of: kind))
        let host = "127.1.\(test).\(index + 1)"
        let local = SocketAddress(literal: host, port: 0)
        return (ConnectionOptions(localAddress: local, attemptDelay: attemptDelay), host)
    }

    // covers: 160
    @Test(arguments: TestLoop.all)
    func silentAddressIsOvertakenAfterTheDelay(kind: TestLoop) async throws {
        try await withVirtualTimeLoop(kind) { loop, clock in
            let (options, host) = try Self.options(kind, 1)
            let silent = try FullListener()
            defer { silent.close() }
            let server = try await loop.createServer(host: "127.0.0.1", port: 0) { EchoProtocol() }
            let began = clock.now
            let (reader, writer) = try await loop.openConnection(
                to: .addresses([silent.address, server.address]), options: options)
            #expect(began.duration(to: clock.now) == .milliseconds(250))
            #expect(writer.peerAddress == server.address)
            // The connection, and no attempt that has lost.
            await loop.until { server.acceptedCount == 1 }
            #expect(try openSockets { $0.host == host } == 2)
            #expect(loop.statistics.waitingTasks == 0 && loop.statistics.timers == 0)
            try await writer.write("hello")
            #expect(try await reader.readExactly(5) == Array("hello".utf8))
            writer.close()
            await loop.until { server.connectionCount == 0 }
            server.close()
        }
    }

    // covers: 160
    @Test(arguments: TestLoop.all)
    func delayCanBeChosen(kind: TestLoop) async throws {
        try await withVirtualTimeLoop(kind) { loop, clock in
            let silent = try [FullListener(), FullListener()]
            defer { for listener in silent { listener.close() } }
            let server = try await loop.createServer(host: "127.0.0.1", port: 0) { EchoProtocol() }
            let endpoint = Endpoint.addresses(silent.map(\.address) + [server.address])
            let began = clock.now
            let (transport, _) = try await loop.createConnection(
                to: endpoint, options: ConnectionOptions(attemptDelay: .seconds(2))
            ) { Recorder() }
            #expect(began.duration(to: clock.now) == .seconds(4))
            #expect(transport.peerAddress == server.address)
            transport.close()
            await loop.until { server.acceptedCount == 1 && server.connectionCount == 0 }
            server.close()
        }
    }

    // covers: 160
    @Test(arguments: TestLoop.all)
    func addressesAreTriedOneAfterTheOtherWithoutADelay(kind: TestLoop) async throws {
        try await withVirtualTimeLoop(kind) { loop, clock in
            let (options, host) = try Self.options(kind, 2, attemptDelay: nil)
            let silent = try FullListener()
            defer { silent.close() }
            let server = try await loop.createServer(host: "127.0.0.1", port: 0) { EchoProtocol() }
            let code = await asyncCode {
                try await withTimeout(.milliseconds(400)) {
                    _ = try await loop.openConnection(
                        to: .addresses([silent.address, server.address]), options: options)
                }
            }
            #expect(code == .timedOut)
            #expect(server.acceptedCount == 0)
            #expect(try openSockets { $0.host == host } == 0)
            server.close()
        }
    }

    // covers: 160, 159
    @Test(arguments: TestLoop.all)
    func failedAttemptsAreFollowedAtOnceAndAllReported(kind: TestLoop) async throws {
        try await withVirtualTimeLoop(kind) { loop, clock in
            let kept = try KeptPort("127.0.0.1", "127.0.0.2", "127.0.0.3")
            defer { kept.close() }
            let hosts = ["127.0.0.1", "127.0.0.2", "::1", "127.0.0.3"]
            let resolver = SystemResolver { _, port in .success(hosts.map { SocketAddress(literal: $0, port: port)! }) }
            let local = SocketAddress(literal: "127.0.0.1", port: 0)
            let began = clock.now
            let error = await #expect(throws: ConnectError.self) {
                _ = try await loop.connect(
                    to: .host("name.example", port: kept.number), options: ConnectionOptions(localAddress: local),
                    by: resolver)
            }
            #expect(clock.now == began)
            #expect(error?.attempts.map(\.address?.host) == ["127.0.0.1", "::1", "127.0.0.2", "127.0.0.3"])
            #expect(
                error?.attempts.map(\.errno) == [
                    .connectionRefused, .addressFamilyNotSupported, .connectionRefused, .connectionRefused,
                ])
        }
    }

    // covers: 160, F22
    @Test(arguments: TestLoop.all)
    func twoConnectionsInOneIterationHaveOneWinner(kind: TestLoop) async throws {
        try await withVirtualTimeLoop(kind) { loop, clock in
            let (options, host) = try Self.options(kind, 3, attemptDelay: .zero)
            var servers: [Server] = []
            for _ in 0..<3 {
                servers.append(try await loop.createServer(host: "127.0.0.1", port: 0) { EchoProtocol() })
            }
            let (transport, recorder) = try await loop.createConnection(
                to: .addresses(servers.map(\.address)), options: options
            ) { Recorder() }
            await loop.until { servers.map(\.connectionCount).reduce(0, +) == 1 }
            let winner = try #require(servers.first { $0.address == transport.peerAddress })
            await loop.until { winner.connectionCount == 1 }
            #expect(try openSockets { $0.host == host } == 2)
            transport.write("hello")
            await loop.until { recorder.received.count == 5 }
            transport.close()
            await loop.until { servers.allSatisfy { $0.connectionCount == 0 } }
            for server in servers { server.close() }
        }
    }

    // covers: 160, F22
    @Test(arguments: TestLoop.all, [0, 100, 400])
    func cancelledRaceReturnsAtOnceAndLeavesNothing(kind: TestLoop, milliseconds: Int) async throws {
        try await withVirtualTimeLoop(kind) { loop, clock in
            let (options, host) = try Self.options(kind, 4 + milliseconds / 100)
            let silent = try [FullListener(), FullListener(), FullListener()]
            defer { for listener in silent { listener.close() } }
            let connecting = loop.createTask {
                _ = try await loop.openConnection(to: .addresses(silent.map(\.address)), options: options)
            }
            let deadline = clock.now.advanced(by: .milliseconds(milliseconds))
            try await loop.sleep(until: deadline)
            if milliseconds > 0 { #expect(try openSockets { $0.host == host } == 1 + milliseconds / 250) }
            connecting.cancel()
            await #expect(throws: CancellationError.self) { try await connecting.value }
            #expect(clock.now == deadline)
            #expect(loop.statistics.sources == 0 && loop.statistics.timers == 0)
            #expect(try openSockets { $0.host == host } == 0)
        }
    }

    /// An attempt connects in the iteration in which the caller is cancelled.
    // covers: F22
    @Test(arguments: TestLoop.all)
    func cancelledCallerGetsNoConnectionThatHasJustWon(kind: TestLoop) async throws {
        try await withVirtualTimeLoop(kind) { loop, clock in
            let (options, host) = try Self.options(kind, 9)
            let server = try await loop.createServer(host: "127.0.0.1", port: 0) { EchoProtocol() }
            let other = try await loop.createServer(host: "127.0.0.1", port: 0) { EchoProtocol() }
            for iterations in 0..<8 {
                let connecting = loop.createTask {
                    let (_, writer) = try await loop.openConnection(
                        to: .addresses([server.address, other.address]), options: options)
                    writer.close()
                }
                for _ in 0..<iterations { await loop.yield() }
                connecting.cancel()
                // It may have been faster.
                do { try await connecting.value } catch { #expect(error is CancellationError) }
                await loop.until { server.connectionCount == 0 }
            }
            await loop.until { loop.statistics.sources == 2 }
            #expect(other.acceptedCount == 0)
            #expect(try openSockets { $0.host == host } == 0)
            server.close()
            other.close()
        }
    }

    // covers: F22
    @Test(arguments: TestLoop.all)
    func closeOfTheLoopEndsARace(kind: TestLoop) async throws {
        let silent = try [FullListener(), FullListener()]
        defer { for listener in silent { listener.close() } }
        let addresses = silent.map(\.address)
        let (options, host) = try Self.options(kind, 10, attemptDelay: .zero)
        let task = try await withLoopThread(kind) { loop in
            // Not created by `createTask`, because the loop could not be closed then.
            let task = Task(executorPreference: loop) {
                _ = try await loop.openConnection(to: .addresses(addresses), options: options)
            }
            repeat {
                loop.stop()
                try loop.runForever()
            } while loop.statistics.waitingTasks < 3
            try loop.close()
            return task
        }
        #expect(await asyncCode { try await task.value } == .closed)
        #expect(try openSockets { $0.host == host } == 0)
    }

    // covers: 160
    @Test(arguments: TestLoop.all)
    func familiesOfANameAlternate(kind: TestLoop) async throws {
        try await withVirtualTimeLoop(kind) { loop, clock in
            let server = try await loop.createServer(host: "127.0.0.1", port: 0) { EchoProtocol() }
            let hosts = ["::1", "::2", "127.0.0.1"]
            let resolver = SystemResolver { _, port in .success(hosts.map { SocketAddress(literal: $0, port: port)! }) }
            // The order of explicit addresses stays.
            let explicit = hosts.map { SocketAddress(literal: $0, port: server.port)! }
            #expect(
                try await loop.addresses(of: .addresses(explicit), by: resolver, interleaves: true) == explicit)
            let found = try await loop.addresses(
                of: .host("name.example", port: server.port), by: resolver, interleaves: true)
            #expect(found.map(\.host) == ["::1", "127.0.0.1", "::2"])
            server.close()
        }
    }
}
