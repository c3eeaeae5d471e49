import AsyncIO
import Foundation
import Testing

@testable import AsyncIOTesting

/// Tests of the test kit itself, because a check that finds nothing would make every other test worthless.
@Suite struct LoopTestTests {
    @Test(arguments: TestLoop.all)
    func withLoopReturnsTheValueOfItsBody(kind: TestLoop) async throws {
        let value = try await withLoop(kind) { loop in
            try await loop.sleep(for: .milliseconds(1))
            #expect(loop.isOnLoop)
            return 5
        }
        #expect(value == 5)
        let other = try await withLoopThread(kind) { loop in
            loop.callSoon { loop.stop() }
            try loop.runForever()
            return 6
        }
        #expect(other == 6)
    }

    @Test func withLoopThrowsTheErrorOfItsBody() async {
        await #expect(throws: ExampleError.self) { try await withLoop { _ in throw ExampleError() } }
        await #expect(throws: ExampleError.self) { try await withLoopThread { _ in throw ExampleError() } }
    }

    @Test func leakCheckFindsWorkThatIsLeftBehind() async throws {
        // Within an expectation, all lines are the line where it begins.
        let line: UInt = #line + 1
        let failure = await #expect(throws: LoopTestFailure.self) {
            try await withLoop { loop in _ = loop.callLater(after: .seconds(3600)) {} }
        }
        #expect(failure?.description == "left behind: a timer scheduled at \(#fileID):\(line)")
        try await withLoop(.auto, LoopTestOptions(allowsLeftoverWork: true)) { loop in
            _ = loop.callLater(after: .seconds(3600)) {}
        }
    }

    @Test func leakCheckFindsATaskThatDoesNotEnd() async throws {
        let line: UInt = #line + 1
        let failure = await #expect(throws: LoopTestFailure.self) {
            try await withLoop { loop in
                loop.createBackgroundTask(name: "worker") { try await loop.sleep(for: .seconds(3600)) }
            }
        }
        #expect(failure?.description == "left behind: task worker waiting, created at \(#fileID):\(line)")
    }

    @Test func leftoversAreNamedOnceWithTheirCallSites() async throws {
        let (near, far) = try Socket.pair()
        let line: UInt = #line + 1
        let failure = await #expect(throws: LoopTestFailure.self) {
            try await withLoop { loop in
                for _ in 0..<3 { loop.callLater(after: .seconds(3600)) {} }
                loop.callRepeatedly(every: .seconds(3600)) { _ in }
                try loop.addReader(near.descriptor) {}
                _ = try await loop.createServer(host: "127.0.0.1", port: 0) { EchoProtocol() }
            }
        }
        let text = failure?.description ?? ""
        #expect(text.contains("a timer scheduled at \(#fileID):\(line) (3 times), "))
        #expect(text.contains("a repeating timer scheduled at \(#fileID):\(line)"))
        #expect(text.contains("a watcher of descriptor \(near.number) created at \(#fileID):\(line)"))
        #expect(text.contains("a server on 127.0.0.1:"))
        #expect(text.contains(" created at \(#fileID):\(line)"))
        #expect(text.components(separatedBy: ", ").count == 4)
        near.close()
        far.close()
    }

    /// Measured in iterations, because the time depends on the machine's load.
    @Test func leakCheckDoesNotWaitForWorkThatOnlyTheProgramCouldEnd() async throws {
        let clock = CountingClock()
        await #expect(throws: LoopTestFailure.self) {
            let makeLoop = { try SelectorEventLoop(clock: clock) }
            try await withLoop(makeLoop: makeLoop, LoopTestOptions()) { loop in
                _ = loop.callLater(after: .seconds(3600)) {}
            }
        }
        // Each iteration with a timer reads the clock, and a thousand iterations do not wait.
        #expect(clock.reads.value < 5_000)
    }

    private final class CountingClock: EventLoopClock, @unchecked Sendable {
        let reads = Counter()

        override var now: LoopInstant {
            reads.increment()
            return super.now
        }
    }

    @Test func leakCheckFindsAnUnexpectedError() async throws {
        let failure = await #expect(throws: LoopTestFailure.self) {
            try await withLoop { loop in _ = loop.callSoon { throw ExampleError() } }
        }
        #expect(failure?.description.hasPrefix("1 unhandled errors instead of 0: ") == true)
        try await withLoop(.auto, LoopTestOptions(unhandledErrors: 1)) { loop in
            _ = loop.callSoon { throw ExampleError() }
        }
        await #expect(throws: LoopTestFailure.self) {
            try await withLoop(.auto, LoopTestOptions(unhandledErrors: 1)) { _ in }
        }
    }

    @Test func leakCheckFindsARetainedLoop() async throws {
        let box = Box()
        let failure = await #expect(throws: LoopTestFailure.self) {
            try await withLoop { loop in box.loop = loop }
        }
        #expect(failure?.description == "the loop is still retained after its close")
    }

    @Test func timeLimitEndsATestThatHangs() async throws {
        let options = LoopTestOptions(timeLimit: .milliseconds(50))
        let failure = await #expect(throws: LoopTestFailure.self) {
            try await withLoop(.auto, options) { loop in try await loop.sleep(for: .seconds(3600)) }
        }
        #expect(failure?.description.hasPrefix("the test takes longer than ") == true)
    }

    /// The description of a hanging test, in addition to its time limit, which may expire before its loop has begun.
    @Test func hangingLoopIsDescribed() async throws {
        let line: UInt = #line + 2
        let text = try await withLoop { loop in
            let sleeping = loop.createTask { try await loop.sleep(for: .seconds(3600)) }
            await loop.until { loop.statistics.waitingTasks == 1 }
            let current = CurrentLoop()
            current.set(loop)
            let text = await current.describe()
            sleeping.cancel()
            _ = await sleeping.result
            return text
        }
        #expect(text.hasPrefix("pending: task test "))
        #expect(text.contains(", task Task-2 waiting, created at \(#fileID):\(line)"))
        #expect(await CurrentLoop().describe() == "the loop no longer exists")
    }

    private struct ExampleError: Error {}

    private final class Box: @unchecked Sendable {
        var loop: EventLoop?
    }
}
