import AsyncIO
import AsyncIOTesting
import Testing

struct ShieldTests {
    private struct Failure: Error {}

    @Test(arguments: TestLoop.all)
    func shieldReturnsTheValueAndThrowsTheError(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let value = try await shield {
                await loop.yield()
                return [1, 2]
            }
            #expect(value == [1, 2])
            await #expect(throws: Failure.self) { try await shield { throw Failure() } }
            let task = loop.createTask { 3 }
            #expect(try await shield(task) == 3)
        }
    }

    // covers: 86
    @Test(arguments: TestLoop.all)
    func shieldedOperationContinuesWhenItsCallerIsCancelled(kind: TestLoop) async throws {
        try await withLoop(kind, LoopTestOptions(unhandledErrors: 1)) { loop in
            var report = ""
            var steps: [String] = []
            loop.setExceptionHandler { _, context in report = context.description }
            let mayGoOn: Future<Void> = loop.createFuture()
            let outers = [false, true].map { fails in
                loop.createTask {
                    try await shield {
                        try await mayGoOn.value
                        steps.append("done \(Task.isCancelled)")
                        if fails { throw Failure() }
                    }
                }
            }
            for _ in 0..<3 { await loop.yield() }
            for outer in outers {
                outer.cancel()
                await #expect(throws: CancellationError.self) { try await outer.value }
            }
            #expect(steps.isEmpty && report.isEmpty)
            try mayGoOn.setResult(())
            for _ in 0..<5 { await loop.yield() }
            #expect(steps == ["done false", "done false"])
            #expect(report.hasPrefix("Task exception was never retrieved") && report.contains("Failure"))
            loop.setExceptionHandler(nil)
        }
    }

    // covers: 86
    @Test(arguments: TestLoop.all)
    func shieldedTaskIsNotCancelledWithItsCaller(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let task = loop.createTask { () async throws in
                for _ in 0..<10 { try await loop.sleep(for: .zero) }
                return 8
            }
            let outer = loop.createTask { try await shield(task) }
            for _ in 0..<3 { await loop.yield() }
            outer.cancel()
            await #expect(throws: CancellationError.self) { _ = try await outer.value }
            let value = try await task.value
            #expect(value == 8)
            // The reverse: a shielded task that is cancelled itself.
            let cancelled = loop.createTask { try await loop.sleep(for: .seconds(3600)) }
            cancelled.cancel()
            await #expect(throws: CancellationError.self) { try await shield(cancelled) }
            #expect(!Task.isCancelled)
        }
    }

    // covers: 75
    @Test(arguments: TestLoop.all)
    func cancellationAtAnyMomentLosesNoResult(kind: TestLoop) async throws {
        for tick in 0..<10 {
            try await withLoop(kind) { loop in
                var result: Int?
                let outer = loop.createTask {
                    try await shield {
                        for _ in 0..<4 { try await loop.sleep(for: .zero) }
                        result = tick
                        return tick
                    }
                }
                for _ in 0..<tick { await loop.yield() }
                let hadResult = result != nil
                outer.cancel()
                switch await outer.result {
                case .success(let value): #expect(value == tick)
                case .failure(let error): #expect(error is CancellationError && !hadResult)
                }
                while result == nil { await loop.yield() }
            }
        }
    }

    // covers: 37
    @Test(arguments: TestLoop.all)
    func closingTheRunnerCancelsAShieldedOperation(kind: TestLoop) async throws {
        try await withLoopThread(kind) { _ in
            nonisolated(unsafe) var wasCancelled = false
            try run(loopFactory: { try kind.makeLoop() }) { loop in
                loop.createBackgroundTask {
                    try await shield {
                        do { try await loop.sleep(for: .seconds(3600)) } catch { wasCancelled = true }
                    }
                }
                for _ in 0..<3 { await loop.yield() }
            }
            #expect(wasCancelled)
        }
    }
}
