import AsyncIO
import AsyncIOTesting
import SystemPackage
import Testing

struct CreateConnectionTests {
    // covers: 125, 159
    @Test(arguments: LoopKind.available)
    func aRefusedConnectionNamesTheAddress(kind: LoopKind) async throws {
        try await withLoop(kind) { loop in
            let server = try await loop.createServer(host: "127.0.0.1", port: 0) { EchoProtocol() }
            let port = server.port
            server.close()
            let error = await #expect(throws: ConnectError.self) {
                _ = try await loop.openConnection(host: "127.0.0.1", port: port)
            }
            #expect(error?.attempts.map(\.errno) == [.connectionRefused])
            #expect(error?.description.hasPrefix("cannot connect to 127.0.0.1:\(port): ") == true)
            await #expect(throws: ConnectError.self) {
                _ = try await loop.createConnection(host: "127.0.0.1", port: port) { Recorder() }
            }
            #expect(try openSockets(onPort: port) == 0)
        }
    }

    // covers: 138
    @Test(arguments: LoopKind.available)
    func theProtocolHasHeardOfTheConnectionWhenItIsReturned(kind: LoopKind) async throws {
        try await withLoop(kind) { loop in
            let server = try await loop.createServer(host: "127.0.0.1", port: 0) { EchoProtocol() }
            let (transport, recorder) = try await loop.createConnection(host: "127.0.0.1", port: server.port) {
                Recorder()
            }
            #expect(recorder.events == [.made])
            #expect(recorder.transport === transport)
            transport.write("hello")
            await loop.until { recorder.received.count == 5 }
            transport.close()
            await loop.until { server.connectionCount == 0 }
            server.close()
        }
    }

    // covers: 163, F19
    @Test(arguments: LoopKind.available)
    func aFactoryThatThrowsClosesTheSocket(kind: LoopKind) async throws {
        try await withLoop(kind) { loop in
            let server = try await loop.createServer(host: "127.0.0.1", port: 0) { EchoProtocol() }
            await #expect(throws: Recorder.ExampleError.self) {
                _ = try await loop.createConnection(host: "127.0.0.1", port: server.port) { () throws -> Recorder in
                    throw Recorder.ExampleError()
                }
            }
            await loop.until { server.acceptedCount == 1 && server.connectionCount == 0 }
            #expect(try openSockets(onPort: server.port) == 1)
            server.close()
        }
    }

    /// A listener whose queue is full does not answer.
    // covers: 163, 164, 181
    @Test(arguments: LoopKind.available)
    func aCancelledConnectLeavesNothing(kind: LoopKind) async throws {
        try await withLoop(kind) { loop in
            let address = try #require(SocketAddress(literal: "127.0.0.1", port: 0))
            let listener = try Socket.stream(for: address)
            try listener.bind(to: address)
            try listener.listen(backlog: 0)
            let bound = try #require(listener.localAddress)
            let port = try #require(bound.port)
            let first = try Socket.stream(for: bound)
            _ = try first.connect(to: bound)

            let connecting = loop.createTask { _ = try await loop.openConnection(host: "127.0.0.1", port: port) }
            while loop.statistics.waitingTasks == 0 { await loop.yield() }
            await loop.yield()
            #expect(loop.statistics.waitingTasks == 1)
            connecting.cancel()
            await #expect(throws: CancellationError.self) { try await connecting.value }
            #expect(loop.statistics.sources == 0)

            let error = await #expect(throws: EventLoopError.self) {
                try await withTimeout(.milliseconds(10)) {
                    _ = try await loop.openConnection(host: "127.0.0.1", port: port)
                }
            }
            #expect(error?.code == .timedOut)
            #expect(loop.statistics.sources == 0)
            first.close()
            listener.close()
        }
    }

    // covers: 104
    @Test(arguments: LoopKind.available)
    func factoriesAreNotCalledOnOtherThreads(kind: LoopKind) async throws {
        // The pool is busy with other tests.
        try await withLoop(kind, LoopTestOptions(timeLimit: .seconds(60))) { loop in
            let codes = await Task.detached {
                var codes: [EventLoopError.Code?] = []
                do { _ = try await loop.createServer(port: 0) { EchoProtocol() } } catch {
                    codes.append((error as? EventLoopError)?.code)
                }
                do { _ = try await loop.createConnection(host: "::1", port: 1) { EchoProtocol() } } catch {
                    codes.append((error as? EventLoopError)?.code)
                }
                return codes
            }.value
            #expect(codes == [.wrongThread, .wrongThread])
        }
    }
}
