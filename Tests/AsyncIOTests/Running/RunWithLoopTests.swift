import AsyncIO
import AsyncIOTesting
import Testing

/// Bodies that take the loop. Each test runs on a separate thread, where the test's loop does not run.
struct RunWithLoopTests {
    // covers: 23
    @Test(arguments: LoopKind.available)
    func bodyGetsTheRunningLoop(kind: LoopKind) async throws {
        try await withLoopThread(kind) { _ in
            let value = try run(on: kind) { loop in
                #expect(loop === runningLoop)
                #expect(loop.backendName == kind.rawValue)
                try await loop.sleep(for: .zero)
                return 42
            }
            #expect(value == 42)
            // The forms without a parameter.
            let names = [try run(on: kind) { try getRunningLoop().backendName }, try run { "auto" }]
            #expect(names == [kind.rawValue, "auto"])
            let isDebug = try run(isDebug: true) { loop in loop.debug.isEnabled }
            #expect(isDebug)
        }
    }

    @Test(arguments: LoopKind.available)
    func bodyMayTakeTheClassThatTheFactoryCreates(kind: LoopKind) async throws {
        try await withLoopThread(kind) { _ in
            let name = try run(loopFactory: { try NamedLoop() }) { (loop: NamedLoop) in
                try await loop.sleep(for: .zero)
                return loop.name
            }
            #expect(name == "its own")
            #expect(code { try run(on: kind) { (_: NamedLoop) in _ = Issue.record("called") } } == .invalidArgument)
        }
    }

    @Test(arguments: TestLoop.all)
    func runnerPassesItsLoopToEachBody(kind: TestLoop) async throws {
        try await withLoopThread(kind) { _ in
            let runner = Runner(loopFactory: { try kind.makeLoop() })
            let first = try runner.run { loop in ObjectIdentifier(loop) }
            let second = try runner.run { loop in
                await loop.yield()
                return ObjectIdentifier(loop)
            }
            #expect(first == second)
            #expect(code { try runner.run { (_: NamedLoop) in } } == .invalidArgument)
            // A rejected body leaves the runner unchanged.
            #expect(try runner.run { 3 } == 3)
            try runner.close()
        }
    }
}

/// A loop of the program, with something of its own.
private final class NamedLoop: SelectorEventLoop, @unchecked Sendable {
    let name = "its own"
}
