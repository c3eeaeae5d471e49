import AsyncIO
import AsyncIOTesting
import Foundation
import SystemPackage
import Testing

struct ExceptionHandlerTests {
    // covers: 292, F20
    @Test func errorOfACallbackIsReportedWithItsCallSiteAndTheLoopContinues() async throws {
        struct Failure: Error {}
        try await withLoopThread(.auto, LoopTestOptions(unhandledErrors: 3)) { loop in
            var reports: [ExceptionContext] = []
            var calls = 0
            loop.setExceptionHandler { _, context in reports.append(context) }
            let line: UInt = #line + 1
            loop.callSoon { throw Failure() }
            loop.callLater(after: .zero) { throw Failure() }
            try loop.callSoonThreadsafe { throw Failure() }
            loop.callLater(after: .microseconds(1)) {
                calls += 1
                loop.stop()
            }
            try loop.runForever()
            #expect(calls == 1)
            #expect(reports.count == 3)
            #expect(reports.allSatisfy { $0.error is Failure })
            #expect(Set(reports.compactMap { $0.callSite?.line }) == [line, line + 1, line + 2])
            #expect(reports.first?.description.hasPrefix("Exception in callback: Failure()") == true)
        }
    }

    // covers: 292
    @Test(arguments: TestLoop.all)
    func errorOfAWatcherIsReportedWithItsCallSiteAndDescriptor(kind: TestLoop) async throws {
        struct Failure: Error {}
        try await withLoop(kind, LoopTestOptions(unhandledErrors: 2)) { loop in
            var reports: [ExceptionContext] = []
            loop.setExceptionHandler { _, context in reports.append(context) }
            let (end, peer) = try Socket.pair()
            let descriptor = end.descriptor
            try FileDescriptor(rawValue: peer.number).writeAll([1])
            let line: UInt = #line + 1
            try loop.addReader(descriptor) {
                loop.removeReader(descriptor)
                throw Failure()
            }
            try loop.addWriter(descriptor) {
                loop.removeWriter(descriptor)
                throw Failure()
            }
            await loop.until { reports.count == 2 }
            #expect(reports.allSatisfy { $0.error is Failure && $0.socket == descriptor })
            #expect(reports.allSatisfy { $0.callSite?.fileID.description == #fileID })
            #expect(Set(reports.compactMap { $0.callSite?.line }) == [line, line + 4])
            end.close()
            peer.close()
        }
    }

    // covers: 292
    @Test(arguments: TestLoop.all)
    func errorOfAConnectionIsReportedWithTheCallSiteOfItsServer(kind: TestLoop) async throws {
        struct Failure: Error {}
        try await withLoop(kind, LoopTestOptions(timeLimit: .seconds(60), unhandledErrors: 1)) { loop in
            var reports: [ExceptionContext] = []
            loop.setExceptionHandler { _, context in reports.append(context) }
            let line: UInt = #line + 1
            let server = try await loop.startServer(host: "127.0.0.1", port: 0) { reader, _ in
                _ = try await reader.readLine()
                throw Failure()
            }
            let streams = try await loop.openConnection(host: "127.0.0.1", port: server.port)
            try await streams.writer.write("x\n")
            await loop.until { reports.count == 1 }
            #expect(reports.first?.origin?.line == line)
            #expect(reports.first?.origin?.fileID.description == #fileID)
            streams.writer.close()
            server.close()
            try await server.waitClosed()
        }
    }

    // covers: 294, F20
    @Test func errorOfTheExceptionHandlerGoesToTheDefaultHandler() async throws {
        struct Failure: Error {}
        try await withLoopThread(.auto, LoopTestOptions(unhandledErrors: 2)) { loop in
            var calls = 0
            loop.setExceptionHandler { _, _ in
                calls += 1
                throw Failure()
            }
            loop.callSoon { throw Failure() }
            loop.callSoon {
                // Without a handler, the default handler writes the report.
                loop.setExceptionHandler(nil)
                throw Failure()
            }
            loop.callSoon { loop.stop() }
            try loop.runForever()
            #expect(calls == 1)
        }
    }

    // covers: 293
    @Test func exceptionHandlerCanBeSetReplacedReadAndReset() async throws {
        struct Failure: Error {}
        try await withLoopThread(.auto, LoopTestOptions(unhandledErrors: 4)) { loop in
            var calls: [String] = []
            loop.setExceptionHandler { of, context in
                #expect(of === loop)
                calls.append("first: \(context.message)")
            }
            loop.callExceptionHandler(ExceptionContext(message: "a"))
            // Before the first run, another thread may begin it, so this report waits for the run too.
            #expect(calls == [])
            loop.stop()
            try loop.runForever()
            #expect(calls == ["first: a"])

            loop.callExceptionHandler(ExceptionContext(message: "b"))
            #expect(calls == ["first: a", "first: b"])
            let first = try #require(loop.getExceptionHandler())
            loop.setExceptionHandler { _, context in calls.append("second: \(context.message)") }
            loop.callExceptionHandler(ExceptionContext(message: "c"))
            loop.setExceptionHandler(first)
            loop.callExceptionHandler(ExceptionContext(message: "d"))
            #expect(calls.suffix(2) == ["second: c", "first: d"])
            loop.setExceptionHandler(nil)
            #expect(loop.getExceptionHandler() == nil)
        }
    }

    @Test func reportOfAnotherThreadReachesTheHandlerOnTheLoop() async throws {
        try await withLoopThread(.auto, LoopTestOptions(unhandledErrors: 4)) { loop in
            let home = currentThread()
            var calls = 0
            loop.setExceptionHandler { loop, _ in
                #expect(currentThread() == home)
                calls += 1
                if calls == 4 { loop.stop() }
            }
            let threads = (0..<4).map { number in
                OtherThread { loop.callExceptionHandler(ExceptionContext(message: "from thread \(number)")) }
            }
            try loop.runForever()
            for thread in threads { thread.join() }
            #expect(calls == 4)
        }
    }

    @Test(.startsProcess) func reportBeforeTheCloseReachesTheHandlerAndALaterOneStandardError() async throws {
        let result = try await #require(processExitsWith: .success, observing: [\.standardErrorContent]) {
            let loop = try LoopKind.auto.makeLoop()
            let home = currentThread()
            var reports: [String] = []
            loop.setExceptionHandler { _, context in
                precondition(currentThread() == home)
                reports.append(context.message)
            }
            OtherThread { loop.callExceptionHandler(ExceptionContext(message: "before")) }.join()
            try loop.close()
            OtherThread { loop.callExceptionHandler(ExceptionContext(message: "after")) }.join()
            try #require(reports == ["before"])
            try #require(loop.statistics.unhandledErrors == 1)
            // The loop no longer exists, so no handler can be called.
            let dropped = try LoopKind.auto.makeLoop()
            dropped.setExceptionHandler { _, _ in fatalError("called by a deinit") }
            OtherThread { dropped.callExceptionHandler(ExceptionContext(message: "dropped")) }.join()
        }
        let lines = String(decoding: result.standardErrorContent, as: UTF8.self).split(separator: "\n")
        #expect(lines.filter { $0.hasPrefix("asyncio: ") } == ["asyncio: after", "asyncio: dropped"])
    }

    @Test func reportNamesTheObjectConcerned() {
        let site = CallSite(fileID: "Module/File.swift", line: 7)
        let context = ExceptionContext(
            message: "Something failed", error: EventLoopError(.busy, "it is busy"), origin: site, task: "worker",
            future: "an answer", socket: .standardInput)
        #expect(
            context.description
                == "Something failed (task 'worker') (future: an answer) (descriptor 0): it is busy (created at Module/File.swift:7)"
        )
    }
}
