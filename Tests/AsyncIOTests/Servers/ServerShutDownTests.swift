import AsyncIO
import AsyncIOTesting
import SystemPackage
import Testing

/// What becomes of the connections of a server that is shut down, and how they are counted.
struct ServerShutDownTests {
    private static func connect(_ loop: EventLoop, _ server: Server, _ line: String) async throws -> (
        reader: StreamReader, writer: StreamWriter
    ) {
        let client = try await loop.openConnection(to: .address(server.localAddresses[0]))
        try await client.writer.write("\(line)\n")
        return client
    }

    // covers: F62
    @Test(arguments: TestLoop.allAndFiltered)
    func reportCountsEachConnectionOnce(kind: TestLoop) async throws {
        try await withVirtualLoop(kind) { loop in
            var stubborn: UnsafeContinuation<Void, Never>?
            let server = try await loop.startServer(host: "127.0.0.1", port: 0) { reader, _ in
                switch try await reader.readLine() {
                case "wait": _ = try await reader.readLine()
                case "ignore cancellation": await withUnsafeContinuation { stubborn = $0 }
                default: break
                }
            }
            let gone = try await Self.connect(loop, server, "end")
            #expect(try await gone.reader.readToEnd().isEmpty)
            gone.writer.close()
            await loop.until { server.acceptedCount == 1 && server.connectionCount == 0 }
            var clients: [(reader: StreamReader, writer: StreamWriter)] = []
            for line in ["wait", "wait", "wait", "ignore cancellation"] {
                clients.append(try await Self.connect(loop, server, line))
            }
            await loop.until { server.connectionCount == 4 && stubborn != nil }
            let ending = loop.createTask { try await server.shutDown(within: .seconds(10)) }
            try await loop.sleep(for: .seconds(4))
            #expect(server.connectionCount == 4)
            clients[0].writer.close()
            // No virtual time passes here, as it would before the kernel has reported the end.
            await loop.until { server.connectionCount == 3 }
            let report = try await ending.value
            #expect(report.served == 5 && report.drained == 1 && report.cancelled == 2 && report.aborted == 1)
            #expect(report.duration >= .milliseconds(10_100) && report.duration < .milliseconds(10_200))
            #expect(server.connectionCount == 0)
            stubborn?.resume()
            for client in clients { client.writer.close() }
        }
    }

    // covers: F62
    @Test(arguments: TestLoop.allAndFiltered)
    func cancelledHandlerMaySendALastMessage(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let server = try await loop.startServer(host: "127.0.0.1", port: 0) { reader, writer in
                do {
                    while try await reader.readLine() != nil {}
                } catch is CancellationError {
                    try await writer.write("goodbye\n")
                }
            }
            let client = try await Self.connect(loop, server, "hello")
            await loop.until { server.connectionCount == 1 }
            let report = try await server.shutDown(within: .zero)
            #expect(report.drained == 0 && report.cancelled == 1 && report.aborted == 0)
            #expect(try await client.reader.readLine() == "goodbye")
            client.writer.close()
        }
    }

    // covers: F62
    @Test(arguments: TestLoop.allAndFiltered)
    func connectionsOfProtocolsAreAbortedAtTheDeadline(kind: TestLoop) async throws {
        try await withVirtualLoop(kind) { loop in
            let server = try await loop.createServer(host: "127.0.0.1", port: 0) { EchoProtocol() }
            let client = try await Self.connect(loop, server, "x")
            #expect(try await client.reader.readLine() == "x")
            let report = try await server.shutDown(within: .seconds(2))
            #expect(report.served == 1 && report.drained == 0 && report.cancelled == 0 && report.aborted == 1)
            #expect(report.duration >= .seconds(2) && report.duration < .milliseconds(2_100))
            client.writer.close()
        }
    }

    /// The limit has passed already, or never passes.
    // covers: F62
    @Test(arguments: TestLoop.allAndFiltered, [.seconds(-1), .zero, .seconds(Int64.max)] as [Duration])
    func serverWithoutConnectionsEndsAtOnce(kind: TestLoop, limit: Duration) async throws {
        try await withVirtualLoop(kind) { loop in
            let server = try await loop.startServer(host: "127.0.0.1", port: 0) { _, _ in }
            let report = try await server.shutDown(within: limit)
            #expect(report == ShutdownReport(served: 0, drained: 0, cancelled: 0, aborted: 0, duration: .zero))
            let again = try await server.shutDown(within: limit)
            #expect(again == report)
        }
    }

    /// The task of the handler is not cancelled, because it waits for the end of the others.
    // covers: F62
    @Test(arguments: TestLoop.allAndFiltered)
    func handlerMayShutItsServerDown(kind: TestLoop) async throws {
        try await withVirtualLoop(kind) { loop in
            var server: Server?
            var report: ShutdownReport?
            server = try await loop.startServer(host: "127.0.0.1", port: 0) { reader, _ in
                if try await reader.readLine() == "stop" {
                    report = try await server?.shutDown(within: .seconds(1))
                } else {
                    _ = try await reader.readLine()
                }
            }
            let other = try await Self.connect(loop, try #require(server), "wait")
            await loop.until { server?.connectionCount == 1 }
            let client = try await Self.connect(loop, try #require(server), "stop")
            _ = try? await client.reader.readToEnd()
            await loop.until { report != nil }
            #expect(report?.served == 2 && report?.cancelled == 1 && report?.aborted == 1)
            for client in [other, client] { client.writer.close() }
            server = nil
        }
    }

    @Test func reportIsPrintedInOneLine() {
        let report = ShutdownReport(served: 7, drained: 2, cancelled: 1, aborted: 0, duration: .milliseconds(5_004))
        #expect("\(report)" == "7 connections served; 2 drained, 1 cancelled and 0 aborted in 5.004 s")
    }
}
