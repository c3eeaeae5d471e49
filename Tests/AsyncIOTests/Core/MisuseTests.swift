import AsyncIO
import AsyncIOTesting
import Foundation
import Testing

/// What a program writes to standard error. Each test runs in a separate process.
struct MisuseTests {
    // covers: 104
    @Test(.startsProcess, arguments: ["callSoon", "callLater", "callAt"])
    func callOffTheLoopTrapsWithAMessage(function: String) async throws {
        let result = try await #require(
            processExitsWith: .failure, observing: [\.standardErrorContent]
        ) { [function] in
            let loop = try LoopKind.auto.makeLoop()
            OtherThread {
                switch function {
                case "callSoon": loop.callSoon {}
                case "callLater": loop.callLater(after: .zero) {}
                default: loop.callAt(loop.now) {}
                }
            }.join()
        }
        let text = String(decoding: result.standardErrorContent, as: UTF8.self)
        #expect(text.contains("\(function) was called outside its loop's thread; call it in a task of the loop"))
    }

    @Test(.startsProcess) func callOnAClosedLoopIsReportedByName() async throws {
        let result = try await #require(processExitsWith: .success, observing: [\.standardErrorContent]) {
            let calls: [(EventLoop) -> Void] = [
                { $0.callSoon {} }, { $0.callLater(after: .zero) {} }, { $0.callAt($0.now) {} },
                { $0.callRepeatedly(every: .seconds(1)) { _ in } },
            ]
            for call in calls {
                let loop = try LoopKind.auto.makeLoop()
                try loop.close()
                call(loop)
            }
        }
        let lines = String(decoding: result.standardErrorContent, as: UTF8.self).split(separator: "\n")
        let names = lines.filter { $0.contains(" was ignored: the event loop is closed") }.map {
            $0.split(separator: " ")[1]
        }
        #expect(names == ["callSoon", "callLater", "callAt", "callRepeatedly"])
    }

    @Test(.startsProcess) func transportUsedInThePoolTrapsWithAMessage() async throws {
        let result = try await #require(
            processExitsWith: .failure, observing: [\.standardErrorContent]
        ) {
            try await withLoop { loop in
                try await withStreamPair(on: loop) { writer, _ in
                    nonisolated(unsafe) let transport = writer.transport
                    await Task.detached { transport.write("x") }.value
                }
            }
        }
        let text = String(decoding: result.standardErrorContent, as: UTF8.self)
        #expect(text.contains("StreamTransport.write was called outside its loop's thread"))
    }

    // covers: 294
    @Test(.startsProcess) func brokenStandardErrorDoesNotEndTheProcess() async throws {
        await #expect(processExitsWith: .success) {
            struct Failure: Error {}
            let pipe = Pipe()
            dup2(pipe.fileHandleForWriting.fileDescriptor, STDERR_FILENO)
            try pipe.fileHandleForReading.close()
            let loop = try LoopKind.auto.makeLoop()
            loop.callSoon { throw Failure() }
            loop.callSoon { loop.stop() }
            try OtherThread.run { try loop.runForever() }
            // At once, because the test library would write to standard error too.
            exit(EXIT_SUCCESS)
        }
    }

    // covers: 292, 294, F20
    @Test(.startsProcess) func uncaughtErrorsAreWrittenAsOneLineEach() async throws {
        let result = try await #require(
            processExitsWith: .success, observing: [\.standardErrorContent]
        ) {
            struct Failure: Error {}
            let loop = try LoopKind.auto.makeLoop()
            loop.callSoon { throw Failure() }
            loop.callSoon { loop.setExceptionHandler { _, _ in throw Failure() } }
            loop.callSoon { throw Failure() }
            loop.callSoon { loop.stop() }
            try OtherThread.run { try loop.runForever() }
        }
        let lines = String(decoding: result.standardErrorContent, as: UTF8.self).split(separator: "\n")
        let reports = lines.filter { $0.hasPrefix("asyncio: ") }
        try #require(reports.count == 3)
        #expect(reports[0].hasPrefix("asyncio: Exception in callback: Failure() (scheduled at "))
        #expect(reports[1].hasPrefix("asyncio: Exception in callback: Failure() (scheduled at "))
        #expect(reports[2] == "asyncio: Unhandled error in exception handler: Failure()")
    }
}
