import AsyncIO
import AsyncIOTesting
import Testing

/// Each test runs on a separate thread, where the test's loop does not run.
struct RunTests {
    struct Failure: Error {}

    // covers: 23, 37
    @Test(arguments: TestLoop.all)
    func runReturnsTheResultAndClosesTheLoop(kind: TestLoop) async throws {
        try await withLoopThread(kind) { _ in
            var used: EventLoop?
            nonisolated(unsafe) let keep: (EventLoop) -> Void = { used = $0 }
            let value = try run(loopFactory: { try kind.makeLoop() }) {
                keep(try getRunningLoop())
                return 42
            }
            #expect(value == 42)
            #expect(used?.isClosed == true)
            #expect(runningLoop == nil)
            #expect(code { _ = try getEventLoop() } == .noCurrentLoop)
        }
    }

    @Test(arguments: TestLoop.all)
    func runThrowsTheErrorAndClosesTheLoop(kind: TestLoop) async throws {
        try await withLoopThread(kind) { _ in
            var used: EventLoop?
            nonisolated(unsafe) let keep: (EventLoop) -> Void = { used = $0 }
            #expect(throws: Failure.self) {
                try run(loopFactory: { try kind.makeLoop() }) {
                    keep(try getRunningLoop())
                    throw Failure()
                }
            }
            #expect(used?.isClosed == true)
        }
    }

    // covers: 37
    @Test(arguments: TestLoop.all)
    func remainingTasksAreCancelledAndAwaited(kind: TestLoop) async throws {
        try await withLoopThread(kind) { _ in
            var steps: [String] = []
            nonisolated(unsafe) let note: (String) -> Void = { steps.append($0) }
            try run(loopFactory: { try kind.makeLoop() }) {
                let loop = try getRunningLoop()
                for number in 0..<3 {
                    loop.createBackgroundTask {
                        do {
                            try await loop.sleep(for: .seconds(3600))
                        } catch {
                            // The clean-up may wait too, and start tasks.
                            await loop.yield()
                            loop.createBackgroundTask { note("late \(number)") }
                            note("cancelled \(number)")
                        }
                    }
                }
                await loop.yield()
            }
            #expect(Set(steps) == Set((0..<3).flatMap { ["cancelled \($0)", "late \($0)"] }))
        }
    }

    // covers: 37
    /// A client that reconnects whenever it is disconnected must not keep the program running.
    // covers: F36
    @Test(arguments: TestLoop.all)
    func noConnectionIsAcceptedWhileRemainingTasksEnd(kind: TestLoop) async throws {
        try await withLoopThread(kind) { _ in
            nonisolated(unsafe) let counts = Counts()
            try run(loopFactory: { try kind.makeLoop() }) {
                let loop = try getRunningLoop()
                var address = SocketAddress(literal: "127.0.0.1", port: 1)!
                let server = try await loop.startServer(host: "127.0.0.1", port: 0) { reader, _ in
                    counts.accepted += 1
                    do {
                        _ = try await reader.readLine()
                    } catch {
                        // The clean-up takes a while. Meanwhile a client connects, and the program starts another task.
                        let socket = try Socket.stream(for: address)
                        _ = try? socket.connect(to: address)
                        loop.createBackgroundTask {
                            try? await loop.sleep(for: .seconds(3_600))
                            counts.late += 1
                        }
                        for _ in 0..<20 { await loop.yield() }
                        socket.close()
                        throw error
                    }
                }
                address = server.localAddresses[0]
                let (_, writer) = try await loop.openConnection(host: "127.0.0.1", port: server.port)
                while counts.accepted == 0 { await loop.yield() }
                writer.close()
            }
            #expect(counts.accepted == 1)
            #expect(counts.late == 1)
        }
    }

    private final class Counts {
        var accepted = 0
        var late = 0
    }

    @Test func remainingTasksAreAwaitedAfterAnErrorToo() async throws {
        try await withLoopThread { _ in
            var wasCancelled = false
            nonisolated(unsafe) let note = { wasCancelled = true }
            #expect(throws: Failure.self) {
                try run {
                    let loop = try getRunningLoop()
                    loop.createBackgroundTask {
                        do { try await loop.sleep(for: .seconds(3600)) } catch { note() }
                    }
                    await loop.yield()
                    throw Failure()
                }
            }
            #expect(wasCancelled)
        }
    }

    // covers: 25
    @Test(arguments: TestLoop.all)
    func stopInTheBodyEndsTheRunAndCancelsTheBody(kind: TestLoop) async throws {
        try await withLoopThread(kind) { _ in
            var wasCancelled = false
            nonisolated(unsafe) let note = { wasCancelled = true }
            let error = code {
                try run(loopFactory: { try kind.makeLoop() }) {
                    let loop = try getRunningLoop()
                    loop.callSoon { loop.stop() }
                    do { try await loop.sleep(for: .seconds(3600)) } catch { note() }
                }
            }
            #expect(error == .stoppedBeforeCompletion)
            #expect(wasCancelled)
        }
    }

    @Test func loopOfTheFactoryIsUsedAndClosed() async throws {
        try await withLoopThread { _ in
            let loop = try TestLoop(.auto).makeLoop(clock: VirtualClock())
            let now = try run(loopFactory: { loop }) {
                try await loop.sleep(for: .seconds(3600))
                return loop.now
            }
            #expect(now.nanoseconds == 3_600_000_000_000)
            #expect(loop.isClosed)
        }
    }

    // covers: 38
    @Test(arguments: TestLoop.all)
    func threadMayRunSeveralLoopsOneAfterAnother(kind: TestLoop) async throws {
        try await withLoopThread(kind) { _ in
            for number in 0..<50 {
                let value = try run(loopFactory: { try kind.makeLoop() }) {
                    await Task.yield()
                    return number
                }
                #expect(value == number)
            }
        }
    }
}
