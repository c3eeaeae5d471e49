import AsyncIO
import AsyncIOSystem
import AsyncIOTesting
import CAsyncIO
import Foundation
import SystemPackage
import Testing

struct EventLoopClosingTests {
    // covers: 33, 34, 105
    @Test func closedLoopRejectsEverythingAndClosingAgainHasNoEffect() async throws {
        try await withLoopThread(.auto, LoopTestOptions(unhandledErrors: 1)) { loop in
            #expect(!loop.isClosed)
            try loop.close()
            #expect(loop.isClosed)
            #expect(!loop.isRunning)
            try loop.close()

            #expect(code { try loop.runForever() } == .closed)
            #expect(code { try loop.runUntilComplete {} } == .closed)
            #expect(code { try loop.callSoonThreadsafe {} } == .closed)
            #expect(code { try loop.addSignalHandler(.user1) {} } == .closed)
            #expect(code { try loop.addReader(.standardInput) {} } == .closed)
            #expect(!loop.removeReader(.standardInput))

            // These functions cannot throw, so they have no effect, and the first call is reported.
            let handle = loop.callSoon { Issue.record("a callback of a closed loop was called") }
            #expect(!handle.isPending)
            handle.cancel()
            let timer = loop.callLater(after: .zero) { Issue.record("a timer of a closed loop was called") }
            #expect(!timer.isPending)
            timer.cancel()
            _ = loop.callSoon {}
            #expect(loop.statistics.unhandledErrors == 1)
            #expect(loop.statistics.callbacks == 0)
        }
    }

    // covers: 26, 33
    @Test func runningLoopCannotBeClosed() async throws {
        try await withLoopThread { loop in
            loop.callSoon {
                #expect(code { try loop.close() } == .alreadyRunning)
                loop.stop()
            }
            try loop.runForever()
            #expect(!loop.isClosed)
        }
    }

    @Test func onlyTheOwningThreadMayCloseTheLoop() async throws {
        try await withLoopThread { loop in
            let refused = try OtherThread.run { code { try loop.close() } }
            #expect(refused == .wrongThread)
            #expect(!loop.isClosed)
        }
    }

    // covers: 33, 104
    @Test func eitherACloseOrAnotherThreadsFirstRunIsRejected() async throws {
        try await withLoopThread { _ in
            for _ in 0..<rounds(debug: 500, full: 1_000) {
                let loop = try LoopKind.auto.makeLoop()
                loop.stop()
                let (isThere, wasTried) = (Flag(), Flag())
                nonisolated(unsafe) var refused: EventLoopError.Code?
                let other = OtherThread {
                    isThere.set()
                    refused = code { try loop.runForever() }
                    while !wasTried.isSet { sched_yield() }
                    if refused == nil { try? loop.close() }
                }
                while !isThere.isSet { sched_yield() }
                let refusedHere = code { try loop.close() }
                wasTried.set()
                other.join()
                #expect((refused == nil) != (refusedHere == nil))
                #expect(loop.isClosed)
            }
        }
    }

    // covers: 41
    @Test(arguments: TestLoop.all)
    func concurrentShutdownsAllReturn(kind: TestLoop) async throws {
        for _ in 0..<20 {
            try await withLoopThread(kind, patiently) { loop in
                // Each thread requests a stop, and then closes the loop while it runs, ends or is closed already.
                let threads = (0..<8).map { _ in
                    OtherThread {
                        _ = try? loop.callSoonThreadsafe { loop.stop() }
                        for _ in 0..<10 {
                            let answer = code { try loop.close() }
                            #expect(answer == nil || answer == .alreadyRunning || answer == .wrongThread)
                        }
                    }
                }
                try loop.runForever()
                try loop.close()
                try loop.close()
                for thread in threads { thread.join() }
                #expect(loop.isClosed)
            }
        }
    }

    // covers: 36
    @Test func unfinishedTasksKeepALoopOpen() async throws {
        try await withLoopThread { loop in
            let ended = Ended()
            for _ in 0..<3 {
                loop.createBackgroundTask {
                    do { try await loop.sleep(for: .seconds(3600)) } catch { ended.note(error) }
                }
            }
            loop.stop()
            try loop.runForever()
            let error = #expect(throws: EventLoopError.self) { try loop.close() }
            #expect(error?.code == .tasksAlive)
            #expect(error?.description.contains("3 of its tasks have not ended") == true)
            #expect(loop.statistics.tasks == 3)
            loop.cancelAllTasks()
            for _ in 0..<2 {
                loop.stop()
                try loop.runForever()
            }
            #expect(ended.texts == Array(repeating: "cancelled", count: 3))
            try loop.close()
        }
    }

    // covers: 45, 60
    @Test func callbacksAndTimersAreDiscardedWithoutACall() async throws {
        try await withLoopThread(.auto, LoopTestOptions(allowsLeftoverWork: true)) { loop in
            weak var captured: Ended?
            do {
                let object = Ended()
                captured = object
                loop.callSoon { object.fail() }
                loop.callLater(after: .zero) { object.fail() }
                loop.callLater(after: .seconds(1)) { object.fail() }
                nonisolated(unsafe) let kept = object
                try OtherThread.run { _ = try loop.callSoonThreadsafe { kept.fail() } }
            }
            #expect(captured != nil)
            try loop.close()
            #expect(captured == nil)
            #expect(loop.statistics.callbacks == 0)
            #expect(loop.statistics.timers == 0)
        }
    }

    // covers: 60, F36
    @Test func callbackScheduledInADeinitDuringCloseIsDiscarded() async throws {
        final class Rescheduling {
            let loop: EventLoop
            init(_ loop: EventLoop) { self.loop = loop }
            deinit { loop.callSoon { Issue.record("called") } }
        }
        try await withLoopThread(.auto, LoopTestOptions(unhandledErrors: 1, allowsLeftoverWork: true)) { loop in
            for _ in 0..<3 {
                let object = Rescheduling(loop)
                loop.callLater(after: .seconds(1)) { withExtendedLifetime(object) {} }
            }
            try loop.close()
        }
    }

    // covers: 32, 34
    @Test func closeResumesWaitingTasksWithClosed() async throws {
        try await withLoopThread(.auto, LoopTestOptions(allowsLeftoverWork: true)) { loop in
            let ended = Ended()
            nonisolated(unsafe) let note = ended
            let parked = Parked()
            var ends: [CInt] = [-1, -1]
            #expect(aio_pipe(&ends) == 0)
            let pipe = ends
            nonisolated(unsafe) let listener = try UnservedListener()
            try loop.runUntilComplete {
                for wait in Wait.allCases {
                    Task(executorPreference: loop) {
                        do {
                            switch wait {
                            case .sleep: try await loop.sleep(for: .seconds(3600))
                            case .clock: try await Task.sleep(for: .seconds(3600), clock: loop.clock)
                            case .descriptor: try await loop.waitReadable(.init(rawValue: pipe[0]))
                            case .read:
                                let (reader, _) = try await listener.connect(loop)
                                _ = try await reader.read(maxBytes: 1)
                            }
                            note.texts.append("\(wait) ended")
                        } catch {
                            note.note(error)
                        }
                        parked.count += 1
                    }
                }
                while loop.statistics.waitingTasks < Wait.allCases.count {
                    try await loop.sleep(for: .microseconds(100))
                }
            }
            #expect(ended.texts == [])
            try loop.close()
            #expect(ended.texts == Array(repeating: "closed", count: Wait.allCases.count))
            for end in pipe { _ = aio_close(end) }
        }
    }

    private enum Wait: CaseIterable {
        case sleep, clock, descriptor, read
    }

    // covers: 32, 105, F34
    @Test func taskResumedAfterTheCloseEnds() async throws {
        let report = try await withLoopThread(.auto, LoopTestOptions(timeLimit: .seconds(60), allowsLeftoverWork: true))
        {
            loop in
            let parked = Parked()
            let outcome = DispatchSemaphore(value: 0)
            nonisolated(unsafe) var report: [String] = []
            nonisolated(unsafe) let listener = try UnservedListener()
            try loop.runUntilComplete {
                let (reader, writer) = try await listener.connect(loop)
                nonisolated(unsafe) let streams = (reader, writer)
                Task(executorPreference: loop) {
                    let timer = loop.callLater(after: .seconds(3600)) {}
                    await withUnsafeContinuation { parked.continuation = $0 }
                    // On the thread of closed loops, every operation throws `.closed`, and those that cannot throw have
                    // no effect.
                    report.append("on the loop: \(loop.isOnLoop)")
                    await report.append(outcomeOf { try await loop.sleep(for: .seconds(1)) })
                    await report.append(outcomeOf { try await loop.sleep(for: .zero) })
                    await report.append(outcomeOf { _ = try await streams.0.read(maxBytes: 1) })
                    await report.append(outcomeOf { try await streams.1.write("x") })
                    await report.append(outcomeOf { _ = try await loop.openConnection(host: "127.0.0.1", port: 1) })
                    await report.append(outcomeOf { try await loop.withDeadline(.distantFuture) {} })
                    await report.append(outcomeOf { _ = try loop.callSoonThreadsafe {} })
                    await report.append(outcomeOf { try await loop.createTask { () async throws in }.value })
                    await report.append(loop.createTask { "body" }.value)
                    await loop.yield()
                    timer.cancel()
                    streams.1.transport.write("x")
                    streams.1.close()
                    streams.1.abort()
                    loop.cancelAllTasks()
                    outcome.signal()
                }
                while parked.continuation == nil { await loop.yield() }
            }
            try loop.close()
            let continuation = try #require(parked.continuation)
            OtherThread { continuation.resume() }.join()
            #expect(outcome.wait(timeout: .now() + 50) == .success)
            return report
        }
        #expect(report == ["on the loop: false"] + Array(repeating: "closed", count: 8) + ["body"])
    }
}

private func outcomeOf(_ body: () async throws -> Void) async -> String {
    do {
        try await body()
        return "done"
    } catch {
        return Ended.name(of: error)
    }
}

private final class Ended {
    var texts: [String] = []

    func note(_ error: any Error) { texts.append(Self.name(of: error)) }

    func fail() { Issue.record("a dropped callback was called") }

    static func name(of error: any Error) -> String {
        switch error {
        case is CancellationError: "cancelled"
        case let error as EventLoopError where error.code == .closed: "closed"
        default: "\(error)"
        }
    }
}

private final class Parked: @unchecked Sendable {
    var continuation: UnsafeContinuation<Void, Never>?
    var count = 0
}

/// Accepts no connection, so the kernel holds them.
private final class UnservedListener {
    private let socket: Socket

    init() throws {
        let address = try #require(SocketAddress(literal: "127.0.0.1", port: 0))
        socket = try Socket.stream(for: address)
        try socket.bind(to: address)
        try socket.listen(backlog: 4)
    }

    deinit { socket.close() }

    func connect(_ loop: EventLoop) async throws -> (StreamReader, StreamWriter) {
        let streams = try await loop.openConnection(host: "127.0.0.1", port: socket.localAddress?.port ?? 0)
        return (streams.reader, streams.writer)
    }
}
