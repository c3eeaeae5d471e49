import AsyncIOTesting
import SystemPackage
import Testing

@testable import AsyncIO

/// Errors of accept(2), which a script plays instead of the kernel.
struct ListenerTests {
    private static let shortages: [Errno] = [.tooManyOpenFiles, .tooManyOpenFilesInSystem, .noBufferSpace, .noMemory]
    private static let losses: [Errno] = [
        .connectionAbort, .protocolError, .invalidArgument, .notPermitted, .networkDown,
    ]

    /// A shortage lasts for two and a half seconds of virtual time.
    // covers: 166, F1
    @Test(arguments: TestLoop.allAndFiltered, shortages)
    func serverBacksOffAfterAShortageAndReportsItOnceASecond(kind: TestLoop, error: Errno) async throws {
        try await withVirtualLoop(kind, LoopTestOptions(unhandledErrors: 3)) { loop in
            let server = try await loop.createServer(host: "127.0.0.1", port: 0) { EchoProtocol() }
            var isShort = true
            var attempts = 0
            var reports: [String] = []
            loop.setExceptionHandler { _, context in reports.append("\(context)") }
            loop.replaceAccept { accept throws(Errno) in
                attempts += 1
                if isShort { throw error }
                return try accept()
            }
            // An open connection and its client continue meanwhile.
            isShort = false
            let (client, recorder) = try await loop.createConnection(host: "127.0.0.1", port: server.port) {
                Recorder()
            }
            await loop.until { server.connectionCount == 1 }
            (isShort, attempts) = (true, 0)
            let address = server.localAddresses[0]
            let waiting = try Socket.stream(for: address)
            _ = try waiting.connect(to: address)
            waitUntilReadable(try #require(server.sockets[0].descriptor))
            let start = loop.now
            while loop.now < start.advanced(by: .milliseconds(2_450)) {
                try await loop.sleep(for: .milliseconds(10))
                client.write("x")
                let count = recorder.received.count
                // No virtual time passes here. Waiting for a task would let it pass before the kernel has delivered the
                // answer.
                await loop.until { recorder.received.count > count }
            }
            #expect((20...26).contains(attempts))
            #expect(reports.count == 3)
            let reason = "\(error)".prefix(1).lowercased() + "\(error)".dropFirst()
            let report = "accept on 127.0.0.1:\(server.port) failed: \(reason); backing off for 100 ms"
            #expect(reports.first?.hasPrefix(report) == true)
            #expect(server.isServing && server.acceptedCount == 1)
            isShort = false
            let free = loop.now
            while server.acceptedCount < 2 { try await loop.sleep(for: .milliseconds(10)) }
            #expect(loop.now <= free.advanced(by: .milliseconds(150)))
            waiting.close()
            client.close()
            await loop.until { server.connectionCount == 0 }
            server.close()
        }
    }

    // covers: 166, F1
    @Test(arguments: TestLoop.allAndFiltered)
    func serverAcceptsAgainAfterABackOff(kind: TestLoop) async throws {
        try await withLoop(kind, LoopTestOptions(unhandledErrors: 1)) { loop in
            let server = try await loop.createServer(host: "127.0.0.1", port: 0) { EchoProtocol() }
            var fails = true
            loop.replaceAccept { accept throws(Errno) in
                guard fails else { return try accept() }
                fails = false
                throw .tooManyOpenFiles
            }
            let (reader, writer) = try await loop.openConnection(host: "127.0.0.1", port: server.port)
            try await writer.write("served in the end")
            #expect(try await reader.readExactly(17) == Array("served in the end".utf8))
            writer.close()
            await loop.until { server.connectionCount == 0 }
            server.close()
        }
    }

    // covers: 166
    @Test(arguments: TestLoop.allAndFiltered)
    func serverCanBeClosedDuringABackOff(kind: TestLoop) async throws {
        try await withLoop(kind, LoopTestOptions(unhandledErrors: 1)) { loop in
            let server = try await loop.createServer(host: "127.0.0.1", port: 0) { EchoProtocol() }
            loop.replaceAccept { accept throws(Errno) in throw .noMemory }
            let (_, writer) = try await loop.openConnection(host: "127.0.0.1", port: server.port)
            await loop.until { loop.statistics.unhandledErrors == 1 }
            server.close()
            writer.close()
        }
    }

    // covers: 166
    @Test(arguments: TestLoop.allAndFiltered)
    func serverCanBeClosedByTheReportOfItsBackOff(kind: TestLoop) async throws {
        try await withLoop(kind, LoopTestOptions(unhandledErrors: 1)) { loop in
            let server = try await loop.createServer(host: "127.0.0.1", port: 0) { EchoProtocol() }
            let listener = server.listeners[0]
            loop.replaceAccept { accept throws(Errno) in throw .noMemory }
            loop.setExceptionHandler { _, _ in server.close() }
            let number = try #require(server.sockets[0].descriptor).rawValue
            let client = try Socket.stream(for: server.localAddresses[0])
            _ = try client.connect(to: server.localAddresses[0])
            await loop.until { loop.statistics.unhandledErrors == 1 }
            // The next socket may have the same number.
            #expect(loop.core.pointee.descriptors[number] !== listener)
            client.close()
        }
    }

    // covers: 167, F2
    @Test(arguments: TestLoop.allAndFiltered, losses)
    func clientThatHasGoneDoesNotAffectOthers(kind: TestLoop, error: Errno) async throws {
        try await withLoop(kind) { loop in
            let server = try await loop.createServer(host: "127.0.0.1", port: 0) { EchoProtocol() }
            var failures = 3
            loop.replaceAccept { accept throws(Errno) in
                guard failures > 0 else { return try accept() }
                failures -= 1
                throw error
            }
            let (reader, writer) = try await loop.openConnection(host: "127.0.0.1", port: server.port)
            try await writer.write("x")
            #expect(try await reader.readExactly(1) == Array("x".utf8))
            #expect(failures == 0)
            writer.close()
            await loop.until { server.connectionCount == 0 }
            server.close()
        }
    }

    /// What accept(2) returns for a socket that was shut down: the error comes at once, every time.
    // covers: F1
    @Test(arguments: TestLoop.allAndFiltered)
    func permanentAcceptErrorDoesNotMakeTheLoopSpin(kind: TestLoop) async throws {
        try await withVirtualLoop(kind, LoopTestOptions(unhandledErrors: 1)) { loop in
            let server = try await loop.createServer(host: "127.0.0.1", port: 0) { EchoProtocol() }
            var attempts = 0
            loop.replaceAccept { accept throws(Errno) in
                attempts += 1
                throw .invalidArgument
            }
            let address = server.localAddresses[0]
            let client = try Socket.stream(for: address)
            _ = try client.connect(to: address)
            waitUntilReadable(try #require(server.sockets[0].descriptor))
            try await loop.sleep(for: .milliseconds(950))
            #expect((64...640).contains(attempts))
            client.close()
            server.close()
        }
    }

    /// An option of TCP fails on a unix socket. It was not reported, so a server with a wrong option closed each client
    /// silently.
    // covers: 167, F2
    @Test(arguments: TestLoop.allAndFiltered)
    func failedSocketOptionAffectsOnlyThatClient(kind: TestLoop) async throws {
        try await withLoop(kind, LoopTestOptions(unhandledErrors: 1)) { loop in
            var report: String?
            loop.setExceptionHandler { _, context in report = "\(context)" }
            let server = try await loop.createServer(host: "127.0.0.1", port: 0) { EchoProtocol() }
            let (near, far) = try Socket.pair()
            let nearFile = OpenFile(near.descriptor)
            var strange: Socket? = near
            loop.replaceAccept { accept throws(Errno) in
                if let socket = strange.take() { return (socket, nil) }
                return try accept()
            }
            let (reader, writer) = try await loop.openConnection(host: "127.0.0.1", port: server.port)
            try await writer.write("x")
            #expect(try await reader.readExactly(1) == Array("x".utf8))
            #expect(server.acceptedCount == 1)
            #expect(nearFile.wasClosed)
            #expect(report?.contains("cannot set an option of the connection from") == true, "\(report ?? "")")
            far.close()
            writer.close()
            await loop.until { server.connectionCount == 0 }
            server.close()
        }
    }

    /// Accepts as many per iteration as the backlog says, and never more than 64.
    // covers: 165
    @Test(arguments: TestLoop.allAndFiltered, [4, 100])
    func burstOfConnectionsIsAcceptedInSeveralIterations(kind: TestLoop, backlog: Int) async throws {
        try await withLoop(kind) { loop in
            let (near, far) = try Socket.pair()
            let (transport, other) = try await loop.createConnection(to: .socket(near)) { Recorder() }
            // Then the connection waits for data.
            for _ in 0..<3 { await loop.yield() }
            var options = ServerOptions()
            options.backlog = backlog
            let (listener, address) = try SocketPlace.unix.listen()
            var ticks: [Int] = []
            var received: [Int] = []
            let site = CallSite(fileID: #fileID, line: #line)
            let server = try await loop.listen(on: .socket(listener), options: options, origin: site) {
                loop, _, driver, _ in
                ticks.append(loop.statistics.ticks)
                received.append(other.received.count)
                driver.close()
            }
            // A unix client is in the queue when its connect returns, and remains there when it is closed.
            let most = min(backlog, 64)
            for _ in 0...most {
                let client = try Socket.stream(.unix)
                #expect(try client.connect(to: address))
                client.close()
            }
            sendByte(far)
            await loop.until { ticks.count == most + 1 }
            // All but one at once; the last one is accepted after the other connection has run.
            #expect(ticks == [Int](repeating: ticks[0], count: most) + [ticks[0] + 1])
            #expect(received.last == 1)
            transport.close()
            far.close()
            server.close()
            address.unlinkFile()
        }
    }
}
