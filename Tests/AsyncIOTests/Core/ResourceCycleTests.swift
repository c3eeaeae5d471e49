import AsyncIOTesting
import CAsyncIO
import SystemPackage
import Testing

@testable import AsyncIO

/// What many connections, servers, timers and tasks leave behind: nothing.
struct ResourceCycleTests {
    private struct Failure: Error {}

    /// How a connection ends, or why there is none.
    private enum End: CaseIterable {
        case clientCloses, serverCloses, clientResets, serverAborts, handlerThrows, protocolCloses
        case isCancelled, timesOut, isRefused, isReset
    }

    // covers: 320
    @Test(.startsProcess) func manyConnectionsLeaveNoDescriptorRegistrationTimerOrTask() async {
        await #expect(processExitsWith: .success) {
            try await openDispatchDescriptors()
            for kind in TestLoop.allAndFiltered {
                let failures = LoopTestOptions(timeLimit: .seconds(120), unhandledErrors: 21)
                try await withLoop(kind, failures) { loop in
                    let port = try KeptPort("127.0.0.1")
                    // The first time, the loop and the runtime allocate what they retain.
                    try await Self.cycle(on: loop, refusing: port)
                    let before = (descriptors: openDescriptors(), users: Self.users(of: loop), loop.statistics)
                    let cycles = 20
                    for _ in 0..<cycles { try await Self.cycle(on: loop, refusing: port) }
                    try #require(Self.users(of: loop) == before.users)
                    let (after, former) = (loop.statistics, before.2)
                    try #require(after.sources == former.sources && after.tasks == former.tasks)
                    try #require(after.callbacks == former.callbacks && after.waitingTasks == former.waitingTasks)
                    // Cancelled timers may remain in the heap, until they are at the top.
                    try #require(after.timers <= former.timers + 2)
                    // The test runner may open some meanwhile, but not one in every other cycle.
                    try #require(openDescriptors() < before.descriptors + cycles / 2)
                }
            }
        }
    }

    /// Opens a server, and connections that end in every way, and closes everything. Returns when all of it has ended.
    private static func cycle(on loop: EventLoop, refusing port: KeptPort) async throws {
        let former = loop.statistics
        var end = End.clientCloses
        let server = try await loop.startServer(host: "127.0.0.1", port: 0) { reader, writer in
            switch end {
            case .serverCloses: break
            case .serverAborts: writer.abort()
            case .handlerThrows: throw Failure()
            default: _ = try await reader.readAll(limitBytes: 1_000_000)
            }
        }
        for way in End.allCases {
            end = way
            try await open(to: .address(server.address), way, on: loop, refusing: port)
        }
        server.close()
        try await server.waitClosed()
        // Watchers, timers and waits.
        try await withSockets { near, far in
            try loop.addReader(near.descriptor) {}
            let waiting = loop.createTask { try await loop.waitWritable(far.descriptor) }
            try await waiting.value
            loop.removeReader(near.descriptor)
            let receiving = loop.createTask { _ = try await loop.sock.recv(near, maxBytes: 10) }
            await loop.untilWatched(former.sources + 1)
            receiving.cancel()
            _ = await receiving.result
        }
        loop.callLater(after: .seconds(3_600)) {}.cancel()
        let (lock, queue) = (Lock(), Queue<Int>())
        try await lock.acquire()
        let tasks = [loop.createTask { try await lock.acquire() }, loop.createTask { _ = try await queue.get() }]
        await loop.yield()
        for task in tasks { task.cancel() }
        for task in tasks { _ = await task.result }
        await loop.until {
            let now = loop.statistics
            return now.sources == former.sources && now.callbacks == former.callbacks && now.tasks == former.tasks
                && now.waitingTasks == former.waitingTasks
        }
    }

    private static func open(
        to endpoint: Endpoint, _ end: End, on loop: EventLoop, refusing port: KeptPort
    ) async throws {
        switch end {
        case .isRefused:
            let refused = Endpoint.host("127.0.0.1", port: port.number)
            await #expect(throws: ConnectError.self) { _ = try await loop.openConnection(to: refused) }
        case .isCancelled:
            let task = loop.createTask { try await loop.withConnection(to: endpoint) { _, _ in } }
            task.cancel()
            _ = await task.result
        case .timesOut:
            await #expect(throws: EventLoopError.self) {
                try await withTimeout(.milliseconds(1)) {
                    try await loop.withConnection(to: endpoint) { reader, _ in _ = try await reader.readLine() }
                }
            }
        case .protocolCloses:
            let recorder = Recorder()
            let (transport, _) = try await loop.createConnection(to: endpoint) { recorder }
            transport.write("x")
            transport.close()
            await loop.until { recorder.events.last == .lost(nil) }
        default:
            // A server that aborts the connection may be faster.
            guard let (reader, writer) = try? await loop.openConnection(to: endpoint) else { return }
            switch end {
            case .clientCloses: writer.close()
            case .clientResets, .isReset: writer.reset()
            default:
                _ = try? await reader.readLine()
                writer.close()
            }
            try? await writer.waitClosed()
        }
    }

    /// The number of descriptors that the loop has registered.
    private static func users(of loop: EventLoop) -> Int {
        (0..<1_024).count { loop.core.pointee.descriptors[$0] != nil }
    }

    // covers: 321
    @Test(arguments: TestLoop.all)
    func checkAtTheEndOfEachTestFindsWhatIsLeft(kind: TestLoop) async throws {
        let (near, far) = try Socket.pair()
        defer {
            near.close()
            far.close()
        }
        // What a test may leave, and a word of the report about it.
        let leftovers: [(word: String, leave: @Sendable (EventLoop) async throws -> Void)] = [
            ("a timer", { $0.callLater(after: .seconds(3_600)) {} }),
            ("task", { loop in loop.createBackgroundTask { try await loop.sleep(for: .seconds(3_600)) } }),
            ("task", { loop in loop.createBackgroundTask { try await Event().wait() } }),
            ("a watcher", { try $0.addReader(near.descriptor) {} }),
            ("a server", { _ = try await $0.createServer(host: "127.0.0.1", port: 0) { EchoProtocol() } }),
            ("unhandled errors", { $0.callSoon { throw Failure() } }),
        ]
        for (word, leave) in leftovers {
            let failure = await #expect(throws: LoopTestFailure.self) {
                try await withLoop(kind) { loop in try await leave(loop) }
            }
            #expect(failure?.description.contains(word) == true, "\(failure?.description ?? "nothing") for \(word)")
        }
        let failure = await #expect(throws: LoopTestFailure.self) {
            try await withLoop(kind) { loop in
                let (_, transport) = try await Self.abandonedConnection(on: loop)
                transport.pauseReading()
            }
        }
        #expect(failure?.description.contains("left behind: ") == true)
    }

    /// A connection that nothing closes, whose server is closed.
    private static func abandonedConnection(on loop: EventLoop) async throws -> (Recorder, StreamTransport) {
        let server = try await loop.createServer(host: "127.0.0.1", port: 0) { EchoProtocol() }
        defer { server.close() }
        let recorder = Recorder()
        let (transport, _) = try await loop.createConnection(to: .address(server.address)) { recorder }
        await loop.until { server.acceptedCount == 1 }
        return (recorder, transport)
    }
}
