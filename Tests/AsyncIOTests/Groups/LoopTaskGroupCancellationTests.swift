import AsyncIO
import AsyncIOTesting
import Testing

struct LoopTaskGroupCancellationTests {
    private struct Failure: Error {}

    // covers: 83
    @Test(arguments: TestLoop.all)
    func cancelledCallerCancelsBodyAndChildrenAndThrows(kind: TestLoop) async throws {
        try await withLoop(kind, LoopTestOptions(unhandledErrors: 1)) { loop in
            var steps: [String] = []
            var report = ""
            loop.setExceptionHandler { _, context in report = context.description }
            let outer = loop.createTask {
                try await withLoopTaskGroup { group in
                    group.createTask(name: "failing") {
                        do { try await loop.sleep(for: .seconds(3600)) } catch {
                            await loop.yield()
                            steps.append("child")
                            throw Failure()
                        }
                    }
                    do { try await loop.sleep(for: .seconds(3600)) } catch {
                        steps.append("body")
                        throw error
                    }
                }
            }
            await loop.yield()
            await loop.yield()
            outer.cancel()
            await #expect(throws: CancellationError.self) { try await outer.value }
            #expect(steps.sorted() == ["body", "child"])
            #expect(report.hasPrefix("A task of a cancelled task group failed"))
            #expect(report.contains("failing"))
            loop.setExceptionHandler(nil)
        }
    }

    @Test(arguments: TestLoop.all)
    func cancellationWhileTheGroupWaitsForItsChildrenIsThrown(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            var hasCleanedUp = false
            let outer = loop.createTask {
                try await withLoopTaskGroup { group in
                    group.createTask {
                        defer { hasCleanedUp = true }
                        do { try await loop.sleep(for: .seconds(3600)) } catch {
                            for _ in 0..<5 { await loop.yield() }
                            throw error
                        }
                    }
                    return 1
                }
            }
            for _ in 0..<3 { await loop.yield() }
            outer.cancel()
            outer.cancel()
            await #expect(throws: CancellationError.self) { try await outer.value }
            #expect(hasCleanedUp)
        }
    }

    // covers: 75
    @Test(arguments: TestLoop.all)
    func cancelledGroupReturnsTheValueOfItsBody(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let outer = loop.createTask {
                try await withLoopTaskGroup { group in
                    group.createTask { try? await loop.sleep(for: .seconds(3600)) }
                    try? await loop.sleep(for: .seconds(3600))
                    return 5
                }
            }
            await loop.yield()
            outer.cancel()
            let value = try await outer.value
            #expect(value == 5)
        }
    }

    @Test(arguments: TestLoop.all)
    func errorBeforeTheCancellationIsThrown(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let isCleaningUp: Future<Void> = loop.createFuture()
            let outer = loop.createTask {
                try await withLoopTaskGroup { group in
                    group.createTask { throw Failure() }
                    group.createTask {
                        do { try await loop.sleep(for: .seconds(3600)) } catch {
                            try isCleaningUp.setResult(())
                            for _ in 0..<5 { await loop.yield() }
                        }
                    }
                }
            }
            try await isCleaningUp.value
            outer.cancel()
            await #expect(throws: Failure.self) { try await outer.value }
        }
    }

    @Test(arguments: TestLoop.all)
    func cancelInAChildEndsTheGroupWithoutAnError(kind: TestLoop) async throws {
        try await withVirtualLoop(kind) { loop in
            var steps: [String] = []
            try await withLoopTaskGroup { group in
                group.createTask {
                    do { try await loop.sleep(for: .seconds(3600)) } catch { steps.append("sibling") }
                }
                group.createTask {
                    try await loop.sleep(for: .seconds(1))
                    #expect(group.cancel())
                    #expect(!group.cancel())
                    #expect(group.isCancelled)
                }
                do { try await loop.sleep(for: .seconds(3600)) } catch {
                    steps.append("body")
                    throw error
                }
            }
            #expect(steps.sorted() == ["body", "sibling"])
            #expect(loop.now.nanoseconds == 1_000_000_000)
            #expect(!Task.isCancelled)
        }
    }

    @Test(arguments: TestLoop.all)
    func cancelInTheBodyReturnsItsValue(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let value = try await withLoopTaskGroup { group in
                let task = group.createTask { try await loop.sleep(for: .seconds(3600)) }
                await loop.yield()
                group.cancel()
                await #expect(throws: CancellationError.self) { try await task.value }
                return 7
            }
            #expect(value == 7)
        }
    }

    @Test(arguments: TestLoop.all)
    func cancelledBodyHasNoValue(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            _ = await #expect(throws: CancellationError.self) {
                _ = try await withLoopTaskGroup { group in
                    group.createTask(eagerStart: true) {
                        await loop.yield()
                        group.cancel()
                    }
                    try await loop.sleep(for: .seconds(3600))
                    return 1
                }
            }
        }
    }

    /// In its eager first step, a child has no handle yet with which it could be cancelled.
    @Test(arguments: TestLoop.all)
    func eagerChildThatCancelsItsGroupIsCancelledItself(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            var wasCancelled = false
            try await withLoopTaskGroup { group in
                group.createTask(eagerStart: true) {
                    group.cancel()
                    do { try await loop.sleep(for: .seconds(3600)) } catch { wasCancelled = true }
                }
            }
            #expect(wasCancelled)
        }
    }

    /// The factory is called for a child whose task does not exist yet.
    @Test(arguments: TestLoop.all)
    func taskFactoryMayCancelTheGroupOfTheTask(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            var ended = 0
            try await withLoopTaskGroup { group in
                loop.setTaskFactory { _, _, operation in
                    group.cancel()
                    return operation
                }
                for isEager in [false, true] {
                    group.createTask(eagerStart: isEager) {
                        do { try await loop.sleep(for: .seconds(3600)) } catch { ended += 1 }
                    }
                }
                loop.setTaskFactory(nil)
            }
            #expect(ended == 2)
        }
    }

    @Test(arguments: TestLoop.all)
    func cancelledChildDoesNotAffectTheOthers(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let value = try await withLoopTaskGroup { group in
                let task = group.createTask { try await loop.sleep(for: .seconds(3600)) }
                let other = group.createTask { () async throws -> Int in
                    for _ in 0..<5 { await loop.yield() }
                    try Task.checkCancellation()
                    return 3
                }
                await loop.yield()
                task.cancel()
                return try await other.value
            }
            #expect(value == 3)
        }
    }

    /// The caller is cancelled in each of the first iterations. In none of them does a task hang, outlive the group or
    /// lose its result.
    @Test(arguments: TestLoop.all, [false, true])
    func cancellationAtAnyMomentEndsTheGroup(kind: TestLoop, childFails: Bool) async throws {
        for tick in 0..<14 {
            try await withLoop(kind) { loop in
                var living = 0
                let outer = loop.createTask {
                    try await withLoopTaskGroup { group in
                        for number in 0..<3 {
                            group.createTask {
                                living += 1
                                defer { living -= 1 }
                                for _ in 0..<(3 + number) {
                                    try await loop.sleep(for: .zero)
                                    if Task.isCancelled { await loop.yield() }
                                }
                                try Task.checkCancellation()
                                if childFails, number == 1 { throw Failure() }
                            }
                        }
                        try await loop.sleep(for: .zero)
                        return tick
                    }
                }
                for _ in 0..<tick { await loop.yield() }
                outer.cancel()
                switch await outer.result {
                case .success(let value): #expect(value == tick && !childFails)
                case .failure(let error): #expect(error is CancellationError || (childFails && error is Failure))
                }
                #expect(living == 0 && loop.statistics.tasks == 1)
            }
        }
    }

    // covers: 37
    @Test(arguments: TestLoop.all)
    func closingTheRunnerEndsTheGroup(kind: TestLoop) async throws {
        try await withLoopThread(kind) { _ in
            nonisolated(unsafe) var steps: [String] = []
            try run(loopFactory: { try kind.makeLoop() }) { loop in
                loop.createBackgroundTask {
                    try await withLoopTaskGroup { group in
                        group.createTask {
                            do { try await loop.sleep(for: .seconds(3600)) } catch { steps.append("child") }
                        }
                        do { try await loop.sleep(for: .seconds(3600)) } catch { steps.append("body") }
                    }
                }
                for _ in 0..<3 { await loop.yield() }
            }
            #expect(steps.sorted() == ["body", "child"])
        }
    }
}
