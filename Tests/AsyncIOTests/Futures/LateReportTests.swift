import AsyncIO
import AsyncIOTesting
import Testing

/// Errors of futures that were never read.
struct LateReportTests {
    private struct Failure: Error {}

    // covers: 66
    @Test(arguments: TestLoop.all)
    func unreadErrorIsReportedOnceAndAReadErrorIsNot(kind: TestLoop) async throws {
        try await withLoop(kind, LoopTestOptions(unhandledErrors: 2)) { loop in
            var reports: [ExceptionContext] = []
            loop.setExceptionHandler { _, context in reports.append(context) }
            do {
                let unread: Future<Int> = loop.createFuture()
                try unread.setException(Failure())
                _ = unread.isDone
                // The callbacks of this future do not read its error.
                let ignored: Future<Int> = loop.createFuture()
                ignored.addDoneCallback { _ in }
                try ignored.setException(Failure())

                for way in 0..<3 {
                    let read: Future<Int> = loop.createFuture()
                    try read.setException(Failure())
                    switch way {
                    case 0: #expect(throws: Failure.self) { try read.result() }
                    case 1: #expect(try read.exception() is Failure)
                    default: await #expect(throws: Failure.self) { try await read.value }
                    }
                }
                let cancelled: Future<Int> = loop.createFuture()
                cancelled.cancel()
            }
            for _ in 0..<3 { await loop.yield() }
            #expect(reports.map(\.message) == Array(repeating: "Future exception was never retrieved", count: 2))
            #expect(reports.allSatisfy { $0.error is Failure })
            #expect(reports.first?.origin?.fileID.description == #fileID)
            #expect(reports.first?.future == "Future<Int>")
        }
    }

    // covers: 66
    @Test(.startsProcess) func reportAfterTheLoopIsGoneGoesToStandardError() async throws {
        let result = try await #require(processExitsWith: .success, observing: [\.standardErrorContent]) {
            let closed = try LoopKind.auto.makeLoop()
            do {
                let future: Future<Int> = closed.createFuture()
                try future.setException(EventLoopError(.busy, "after the close"))
                try closed.close()
            }
            // The future's loop is released with it, and was never run.
            let future: Future<Int> = try LoopKind.auto.makeLoop().createFuture()
            try future.setException(EventLoopError(.busy, "without a loop"))
        }
        let lines = String(decoding: result.standardErrorContent, as: UTF8.self).split(separator: "\n")
            .filter { $0.hasPrefix("asyncio: Future exception was never retrieved (future: Future<Int>): ") }
        #expect(lines.count == 2)
        #expect(lines.first?.contains("after the close") == true)
        #expect(lines.last?.contains("without a loop") == true)
    }

    // covers: 66
    @Test(arguments: TestLoop.all)
    func reportIsMadeEvenIfTheLoopIsClosedNext(kind: TestLoop) async throws {
        try await withLoopThread(kind, LoopTestOptions(unhandledErrors: 2)) { loop in
            var reports = 0
            loop.setExceptionHandler { _, _ in reports += 1 }
            try loop.runUntilComplete {
                let future: Future<Int> = loop.createFuture()
                try future.setException(Failure())
            }
            let box = try {
                let future: Future<Int> = loop.createFuture()
                try future.setException(Failure())
                return Box(future)
            }()
            // This is the only reference, so the future is released on the other thread.
            try OtherThread.run { box.future = nil }
            try loop.close()
            #expect(reports == 2)
        }
    }

    private final class Box {
        var future: Future<Int>?

        init(_ future: consuming Future<Int>) { self.future = future }
    }
}
