import AsyncIO
import AsyncIOTesting
import SystemPackage
import Testing

struct ServerTests {
    // covers: 171, F62
    @Test(.expectsReleasedFiles, arguments: TestLoop.allAndFiltered)
    func waitClosedReturnsWhenTheLastConnectionHasEnded(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let server = try await loop.createServer(host: "127.0.0.1", port: 0) { EchoProtocol() }
            #expect(server.isServing)
            let (reader, writer) = try await loop.openConnection(host: "127.0.0.1", port: server.port)
            try await writer.write("a")
            #expect(try await reader.readExactly(1) == [97])
            #expect(server.connectionCount == 1 && server.acceptedCount == 1)

            var hasEnded = false
            let waiting = loop.createTask {
                try await server.waitClosed()
                hasEnded = true
            }
            await loop.yield()
            server.close()
            server.close()
            #expect(!server.isServing)
            // The open connection keeps the port in use. A child process that another test is starting may have a
            // duplicate of the listener for a moment.
            var refusal: ConnectError?
            while refusal == nil {
                do {
                    try await loop.openConnection(host: "127.0.0.1", port: server.port).writer.abort()
                } catch let error as ConnectError {
                    refusal = error
                }
            }
            #expect(refusal?.attempts.map(\.errno) == [.connectionRefused])
            // The open connection continues.
            try await writer.write("b")
            #expect(try await reader.readExactly(1) == [98])
            #expect(!hasEnded)
            writer.close()
            try await waiting.value
            #expect(server.connectionCount == 0)
            try await server.waitClosed()
        }
    }

    // covers: 171
    @Test(arguments: TestLoop.allAndFiltered)
    func closedServerFreesItsPortAtOnce(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            var options = ServerOptions()
            options.reuseAddress = false
            // Not in each round: another test may be faster, or a child process that it is starting may have a
            // duplicate.
            for round in 1...100 {
                let first = try await loop.createServer(host: "127.0.0.1", port: 0, options: options) { EchoProtocol() }
                first.close()
                do {
                    let second = try await loop.createServer(host: "127.0.0.1", port: first.port, options: options) {
                        EchoProtocol()
                    }
                    #expect(second.port == first.port)
                    second.close()
                    break
                } catch let error as IOError where error.errno == .addressInUse && round < 100 {}
            }
        }
    }

    // covers: 171, F62
    @Test(arguments: TestLoop.allAndFiltered, [false, true])
    func clientsCanBeClosedWithTheServer(kind: TestLoop, aborts: Bool) async throws {
        try await withLoop(kind) { loop in
            let server = try await loop.createServer(host: "127.0.0.1", port: 0) { EchoProtocol() }
            var readers: [StreamReader] = []
            for _ in 0..<5 {
                let (reader, writer) = try await loop.openConnection(host: "127.0.0.1", port: server.port)
                try await writer.write("x")
                _ = try await reader.readExactly(1)
                readers.append(reader)
            }
            server.close()
            if aborts { server.abortClients() } else { server.closeClients() }
            try await server.waitClosed()
            for reader in readers { #expect(try await reader.read(maxBytes: 1).isEmpty) }
        }
    }

    // covers: 72
    @Test(arguments: TestLoop.allAndFiltered)
    func cancelledWaitDoesNotAffectTheServer(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let server = try await loop.createServer(host: "127.0.0.1", port: 0) { EchoProtocol() }
            let waiting = loop.createTask { try await server.waitClosed() }
            await loop.yield()
            waiting.cancel()
            await #expect(throws: CancellationError.self) { try await waiting.value }
            #expect(server.isServing)
            server.close()
            try await server.waitClosed()
        }
    }

    // covers: 170
    @Test(arguments: TestLoop.allAndFiltered)
    func errorNamesAPortInUse(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let server = try await loop.createServer(host: "127.0.0.1", port: 0) { EchoProtocol() }
            let error = await #expect(throws: IOError.self) {
                _ = try await loop.createServer(host: "127.0.0.1", port: server.port) { EchoProtocol() }
            }
            #expect(error?.errno == .addressInUse)
            #expect(error?.address == server.localAddresses[0])
            #expect(error?.description.contains("cannot listen on 127.0.0.1:\(server.port): ") == true)
            #expect(try openSockets(at: server.address) == 1)
            server.close()
        }
    }

    // covers: 170
    @Test(arguments: TestLoop.allAndFiltered)
    func errorNamesAnAddressOfAnotherMachine(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let error = await #expect(throws: IOError.self) {
                _ = try await loop.startServer(host: "192.0.2.1", port: 0) { _, _ in }
            }
            #expect(error?.errno == .addressNotAvailable)
            #expect(error?.description.contains("192.0.2.1:0") == true)
        }
    }

    // covers: 169
    @Test(arguments: TestLoop.allAndFiltered)
    func serverWithoutAHostListensOnAllInterfaces(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let server = try await loop.createServer(port: 0) { EchoProtocol() }
            #expect(server.localAddresses.contains { $0.host == "0.0.0.0" })
            let (_, writer) = try await loop.openConnection(host: "127.0.0.1", port: server.port)
            writer.close()
            await loop.until { server.acceptedCount == 1 && server.connectionCount == 0 }
            server.close()
        }
    }

    // covers: 168, F19
    @Test(arguments: TestLoop.allAndFiltered)
    func failedFactoryAffectsOneClient(kind: TestLoop) async throws {
        try await withLoop(kind, LoopTestOptions(unhandledErrors: 1)) { loop in
            var fails = true
            let server = try await loop.createServer(host: "127.0.0.1", port: 0) {
                if fails { throw Recorder.ExampleError() }
                return EchoProtocol()
            }
            var report = ""
            loop.setExceptionHandler { _, context in report = "\(context)" }
            let (reader, writer) = try await loop.openConnection(host: "127.0.0.1", port: server.port)
            #expect(try await reader.read(maxBytes: 1).isEmpty)
            #expect(report.contains("127.0.0.1:\(writer.localAddress?.port ?? 0)"))
            #expect(report.contains("ExampleError"))
            fails = false
            let (otherReader, otherWriter) = try await loop.openConnection(host: "127.0.0.1", port: server.port)
            try await otherWriter.write("x")
            #expect(try await otherReader.readExactly(1) == Array("x".utf8))
            otherWriter.close()
            await loop.until { server.connectionCount == 0 }
            server.close()
        }
    }

    // covers: 309, F19
    @Test(arguments: TestLoop.allAndFiltered)
    func failedHandlerIsReportedAndItsConnectionReset(kind: TestLoop) async throws {
        try await withLoop(kind, LoopTestOptions(unhandledErrors: 1)) { loop in
            let server = try await loop.startServer(host: "127.0.0.1", port: 0) { reader, writer in
                let word = try await reader.readLine()
                if word == "throw" {
                    try await writer.write("half an ")
                    throw Recorder.ExampleError()
                }
                if word == "cancel" { throw CancellationError() }
                try await writer.write("fine")
            }
            for (word, answer) in [("throw", nil), ("cancel", ""), ("else", "fine")] {
                let (reader, writer) = try await loop.openConnection(host: "127.0.0.1", port: server.port)
                try await writer.write(word + "\n")
                if let answer {
                    #expect(try await reader.readToEnd() == Array(answer.utf8))
                } else {
                    // The client does not take half a response for a whole one.
                    let error = await #expect(throws: IOError.self) { try await reader.readToEnd() }
                    #expect(error?.errno == .connectionReset)
                }
            }
            server.close()
            try await server.waitClosed()
        }
    }

    /// Clients that reset are normal for a server, so nothing is reported.
    @Test(arguments: TestLoop.allAndFiltered, [false, true])
    func clientThatResetsIsNotReported(kind: TestLoop, writes: Bool) async throws {
        try await withLoop(kind, LoopTestOptions(unhandledErrors: 0)) { loop in
            let server = try await loop.startServer(host: "127.0.0.1", port: 0) { reader, writer in
                _ = try await reader.readLine()
                if writes {
                    while true { try await writer.write([UInt8](repeating: 1, count: 1 << 20)) }
                } else {
                    _ = try await reader.readLine()
                }
            }
            let (_, writer) = try await loop.openConnection(host: "127.0.0.1", port: server.port)
            try await writer.write("go\n")
            await loop.until { server.connectionCount == 1 }
            for _ in 0..<5 { await loop.yield() }
            writer.reset()
            await loop.until { server.connectionCount == 0 }
            server.close()
        }
    }

    /// A server that is never closed ends with its loop, and does not retain it.
    // covers: 35, 36
    @Test(arguments: TestLoop.allAndFiltered)
    func closingTheLoopClosesItsServers(kind: TestLoop) async throws {
        let kept = try KeptPort("127.0.0.1")
        defer { kept.close() }
        let address = try await withLoop(kind, LoopTestOptions(allowsLeftoverWork: true)) { loop in
            let server = try await loop.createServer(host: "127.0.0.1", port: kept.number) { EchoProtocol() }
            let (reader, writer) = try await loop.openConnection(host: "127.0.0.1", port: server.port)
            try await writer.write("x")
            _ = try await reader.readExactly(1)
            // Both sides, the listener, and the socket that keeps the port.
            #expect(try openSockets(at: server.address) == 4)
            return server.address
        }
        #expect(try openSockets(at: address) == 1)
    }
}
