import AsyncIO
import AsyncIOTesting
import Testing

/// Tasks that wait for the end of a server, at the same time and in any order.
struct ServerEndingTests {
    // covers: 171
    @Test(arguments: TestLoop.allAndFiltered, [false, true])
    func allTasksThatWaitForAServerReturn(kind: TestLoop, aborts: Bool) async throws {
        try await withLoop(kind) { loop in
            let server = try await loop.createServer(host: "127.0.0.1", port: 0) { EchoProtocol() }
            let (_, writer) = try await loop.openConnection(host: "127.0.0.1", port: server.port)
            await loop.until { server.connectionCount == 1 }
            let serving = loop.createTask { try await server.serveForever() }
            let waiting = loop.createTask { try await server.waitClosed() }
            let cancelled = loop.createTask { try await server.waitClosed() }
            let drains = (0..<2).map { _ in
                // A deadline beyond the range of the clock.
                loop.createTask { try await server.shutDown(within: .seconds(Int64.max)) }
            }
            await loop.until { !server.isServing }
            server.close()
            cancelled.cancel()
            await #expect(throws: CancellationError.self) { try await cancelled.value }
            #expect(await asyncCode { try await server.serveForever() } == .busy)
            #expect(code { try server.startServing() } == .closed)
            #expect(server.connectionCount == 1)
            if aborts {
                #expect(try await server.shutDown(within: .seconds(-1)).aborted == 1)
            } else {
                writer.close()
            }
            try await serving.value
            try await waiting.value
            for drain in drains {
                let report = try await drain.value
                #expect(report.drained == 1 && report.aborted == 0)
            }
            try await server.waitClosed()
            #expect(try await server.shutDown(within: .zero).served == 1)
            #expect(await asyncCode { try await server.serveForever() } == .closed)
            writer.close()
        }
    }

    /// No time at all, and more than the clock can represent.
    @Test(arguments: TestLoop.allAndFiltered, [.seconds(Int64.min), .zero, .seconds(Int64.max)] as [Duration])
    func lingeringCloseAcceptsAnyDuration(kind: TestLoop, time: Duration) async throws {
        try await withLoop(kind) { loop in
            let recorder = Recorder()
            let server = try await loop.createServer(host: "127.0.0.1", port: 0) { recorder }
            let (reader, writer) = try await loop.openConnection(host: "127.0.0.1", port: server.port)
            await loop.until { recorder.transport != nil }
            recorder.transport?.write("bye")
            recorder.transport?.closeGracefully(within: time, maxDiscardedBytes: .min)
            #expect(try await reader.readToEnd() == Array("bye".utf8))
            writer.close()
            await loop.until { recorder.transport == nil }
            server.close()
            try await server.waitClosed()
        }
    }
}
