import AsyncIO
import Testing

@testable import AsyncIOTesting

/// The test kit itself: a check that finds nothing would make every other test worthless.
@Suite struct LoopTestTests {
    @Test(arguments: LoopKind.available)
    func theBodysValueComesBack(kind: LoopKind) async throws {
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

    @Test func theBodysErrorComesBack() async {
        await #expect(throws: ExampleError.self) { try await withLoop { _ in throw ExampleError() } }
        await #expect(throws: ExampleError.self) { try await withLoopThread { _ in throw ExampleError() } }
    }

    @Test func whatIsLeftBehindIsFound() async throws {
        let failure = await #expect(throws: LoopTestFailure.self) {
            try await withLoop { loop in _ = loop.callLater(after: .seconds(3600)) {} }
        }
        #expect(failure?.description == "left behind: 1 callbacks, 1 timer entries")
        try await withLoop(.auto, LoopTestOptions(mayLeaveWork: true)) { loop in
            _ = loop.callLater(after: .seconds(3600)) {}
        }
    }

    @Test func aTaskThatDoesNotEndIsFound() async throws {
        let failure = await #expect(throws: LoopTestFailure.self) {
            try await withLoop { loop in
                loop.startTask { try await loop.sleep(for: .seconds(3600)) }
            }
        }
        #expect(failure?.description.contains("1 tasks") == true)
    }

    @Test func anUnexpectedErrorIsFound() async throws {
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

    @Test func aLoopThatIsKeptIsFound() async throws {
        let box = Box()
        let failure = await #expect(throws: LoopTestFailure.self) {
            try await withLoop { loop in box.loop = loop }
        }
        #expect(failure?.description == "somebody still holds the loop after its close")
    }

    @Test func theTimeLimitEndsATestThatHangs() async throws {
        let options = LoopTestOptions(timeLimit: .milliseconds(50))
        let failure = await #expect(throws: LoopTestFailure.self) {
            try await withLoop(.auto, options) { loop in try await loop.sleep(for: .seconds(3600)) }
        }
        #expect(failure?.description.hasPrefix("the test takes longer than ") == true)
    }

    /// What a test that hangs is told beside its limit, which may pass before its loop has begun.
    @Test func whatALoopWaitsForIsSaid() async throws {
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
        #expect(text == "pending: 1 callbacks, 1 timer entries, 1 waiting tasks, 2 tasks")
        #expect(await CurrentLoop().describe() == "there is no loop any more")
    }

    private struct ExampleError: Error {}

    private final class Box: @unchecked Sendable {
        var loop: EventLoop?
    }
}
