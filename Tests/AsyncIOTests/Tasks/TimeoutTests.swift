import AsyncIO
import AsyncIOSystem
import AsyncIOTesting
import Testing

struct TimeoutTests {
    // covers: 77
    @Test(arguments: TestLoop.all)
    func bodyThatTakesLongerIsCancelled(kind: TestLoop) async throws {
        try await withVirtualLoop(kind) { loop in
            var wasCancelled = false
            let error = await asyncCode {
                try await withTimeout(.milliseconds(5)) {
                    do { try await loop.sleep(for: .seconds(1)) } catch {
                        wasCancelled = true
                        throw error
                    }
                }
            }
            #expect(error == .timedOut)
            #expect(wasCancelled)
            #expect(loop.now.nanoseconds == 5_000_000)
            #expect(!Task.isCancelled)
        }
    }

    @Test func errorNamesTheLimitAndTheCallSite() async throws {
        try await withVirtualLoop { loop in
            // Within an expectation, all lines are the line where it begins.
            let line: UInt = #line + 1
            let limited = await #expect(throws: EventLoopError.self) {
                try await withTimeout(.milliseconds(200)) { try await loop.sleep(for: .seconds(1)) }
            }
            let limitedAt = "withTimeout at \(#fileID):\(line)"
            #expect(limited?.description == "the operation did not end within 0.2 seconds (\(limitedAt))")
            let late = await #expect(throws: EventLoopError.self) {
                try await withDeadline(loop.now) { try await loop.sleep(for: .seconds(1)) }
            }
            #expect(
                late?.description
                    == "the operation did not end before its deadline (withDeadline at \(#fileID):\(line + 5))")
        }
    }

    @Test(arguments: TestLoop.all)
    func fasterBodyReturnsAndCancelsTheTimer(kind: TestLoop) async throws {
        try await withVirtualLoop(kind) { loop in
            let value = try await withTimeout(.seconds(5)) {
                try await loop.sleep(for: .milliseconds(1))
                return 42
            }
            #expect(value == 42)
            #expect(loop.now.nanoseconds == 1_000_000)
            #expect(loop.statistics.callbacks == 0)
        }
    }

    @Test(arguments: TestLoop.all)
    func bodyThatDoesNotWaitCostsNeitherATimerNorAnIteration(kind: TestLoop) async throws {
        try await withVirtualLoop(kind) { loop in
            let before = loop.statistics
            let during = try await withTimeout(.seconds(5)) { loop.statistics }
            #expect(during.callbacks == before.callbacks)
            #expect(during.timers == before.timers)
            #expect(during.tasks == before.tasks + 1)
            #expect(loop.statistics.ticks == before.ticks)
            #expect(loop.statistics.tasks == before.tasks)
        }
    }

    @Test(arguments: TestLoop.all)
    func bodyHasASeparateTaskWithTheCallersTaskLocalValues(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let caller = try #require(loop.currentTask)
            try await Self.$request.withValue("42") {
                try await withTimeout(.seconds(60)) {
                    #expect(Self.request == "42")
                    #expect(loop.currentTask?.name == "timeout")
                    #expect(loop.currentTask?.state == .running)
                    #expect(loop.tasks.map(\.id).contains(caller.id))
                    await loop.yield()
                    #expect(Self.request == "42")
                }
            }
            #expect(loop.currentTask?.id == caller.id)
        }
    }

    @TaskLocal private static var request: String?

    // covers: 77, 83
    @Test(arguments: TestLoop.all)
    func cancellationReachesTheBodiesOfNestedLimitsAtOnce(kind: TestLoop) async throws {
        try await withVirtualLoop(kind) { loop in
            var sawCancellation: [Bool] = []
            let task = loop.createTask {
                try await withTimeout(.seconds(5)) {
                    defer { sawCancellation.append(Task.isCancelled) }
                    try await withTimeout(.seconds(6)) {
                        defer { sawCancellation.append(Task.isCancelled) }
                        try await loop.sleep(for: .seconds(60))
                    }
                }
            }
            await loop.yield()
            let ticks = loop.statistics.ticks
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
            #expect(sawCancellation == [true, true])
            // One iteration each for the body, the inner limit, the outer limit, and the code that awaits the task.
            #expect(loop.statistics.ticks == ticks + 4)
            #expect(loop.statistics.callbacks == 0)
        }
    }

    // covers: 83
    @Test(arguments: TestLoop.all)
    func cancelledCallerCancelsTheBody(kind: TestLoop) async throws {
        try await withVirtualLoop(kind) { loop in
            let task = loop.createTask {
                try await withTimeout(.seconds(5)) { try await loop.sleep(for: .seconds(60)) }
            }
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
            #expect(loop.now.nanoseconds == 0)
        }
    }

    /// The loop did not start the children of a group, so it has no records of them.
    // covers: 83
    @Test(arguments: TestLoop.all)
    func childOfAGroupMayUseATimeLimit(kind: TestLoop) async throws {
        try await withVirtualLoop(kind) { loop in
            await withTaskGroup(of: EventLoopError.Code?.self) { group in
                group.addTask {
                    await asyncCode { try await withTimeout(.seconds(5)) { try await loop.sleep(for: .seconds(60)) } }
                }
                #expect(await group.next() == .timedOut)
                group.addTask {
                    await #expect(throws: CancellationError.self) {
                        try await withTimeout(.seconds(5)) { try await loop.sleep(for: .seconds(60)) }
                    }
                    return nil
                }
                await loop.yield()
                group.cancelAll()
            }
            #expect(loop.now.nanoseconds == 5_000_000_000)
        }
    }

    /// Waits outside of the loop end too.
    // covers: 77
    @Test(arguments: TestLoop.all)
    func bodySeesItsCancellationInWaitsOutsideOfTheLoop(kind: TestLoop) async throws {
        try await withLoop(kind, patiently) { loop in
            let error = await asyncCode {
                try await withTimeout(.milliseconds(1)) { try await Task.sleep(for: .seconds(3600)) }
            }
            #expect(error == .timedOut)
            #expect(!Task.isCancelled)
        }
    }

    // covers: 77
    @Test(arguments: TestLoop.all)
    func errorOfTheBodyIsThrown(kind: TestLoop) async throws {
        struct Failure: Error {}
        try await withLoop(kind, patiently) { loop in
            await #expect(throws: Failure.self) { try await withTimeout(.seconds(5)) { throw Failure() } }
            // Also an error that comes instead of the cancellation.
            await #expect(throws: Failure.self) {
                try await withTimeout(.microseconds(1)) {
                    try? await loop.sleep(for: .seconds(3600))
                    throw Failure()
                }
            }
        }
    }

    // covers: 75, 80
    @Test(arguments: TestLoop.all)
    func valueAfterTheDeadlineIsReturned(kind: TestLoop) async throws {
        try await withVirtualLoop(kind) { loop in
            let value = try await withTimeout(.milliseconds(1)) {
                try? await loop.sleep(for: .seconds(1))
                // The caller waits until the body has ended, however long that takes.
                await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
                    loop.callLater(after: .milliseconds(10)) { continuation.resume() }
                }
                return "late"
            }
            #expect(value == "late")
            #expect(loop.now.nanoseconds == 11_000_000)
        }
    }

    // covers: 77, 83
    @Test(arguments: TestLoop.all)
    func cancellationFromOutsideIsNotATimeout(kind: TestLoop) async throws {
        try await withVirtualLoop(kind) { loop in
            let task = loop.createTask {
                try await withTimeout(.seconds(5)) { try await loop.sleep(for: .seconds(60)) }
            }
            loop.callLater(after: .seconds(1)) { task.cancel() }
            await #expect(throws: CancellationError.self) { try await task.value }
            #expect(loop.now.nanoseconds == 1_000_000_000)
        }
    }

    // covers: 77
    @Test(arguments: TestLoop.all)
    func cancellationFromOutsideWinsInTheSameIteration(kind: TestLoop) async throws {
        try await withVirtualLoop(kind) { loop in
            let task = loop.createTask {
                try await withTimeout(.seconds(5)) { try await loop.sleep(for: .seconds(60)) }
            }
            await loop.yield()
            loop.callLater(after: .seconds(5)) { task.cancel() }
            await #expect(throws: CancellationError.self) { try await task.value }
        }
    }

    // covers: 78
    @Test(arguments: TestLoop.all)
    func timeLimitOfZeroEndsTheBodyAtItsFirstSuspension(kind: TestLoop) async throws {
        try await withVirtualLoop(kind) { loop in
            for limit in [Duration.zero, .seconds(-1)] {
                let value = try await withTimeout(limit) { "did not wait" }
                #expect(value == "did not wait")
                let error = await asyncCode { try await withTimeout(limit) { try await loop.sleep(for: .seconds(1)) } }
                #expect(error == .timedOut)
                // A body that takes one iteration.
                let single = await asyncCode { try await withTimeout(limit) { try await loop.sleep(for: .zero) } }
                #expect(single == .timedOut)
                // A body that throws before any suspension.
                await #expect(throws: CancellationError.self) {
                    try await withTimeout(limit) { throw CancellationError() }
                }
            }
            let past = await asyncCode {
                try await withDeadline(LoopInstant(nanoseconds: -1)) { try await loop.sleep(for: .seconds(1)) }
            }
            #expect(past == .timedOut)
            #expect(loop.now.nanoseconds == 0)
        }
    }

    // covers: 79
    @Test(arguments: TestLoop.all)
    func nestedTimeoutsExpireIndependently(kind: TestLoop) async throws {
        try await withVirtualLoop(kind) { loop in
            var inner: EventLoopError.Code?
            let value = try await withTimeout(.milliseconds(20)) {
                inner = await asyncCode {
                    try await withTimeout(.milliseconds(5)) { try await loop.sleep(for: .seconds(1)) }
                }
                return "outer goes on"
            }
            #expect(inner == .timedOut)
            #expect(value == "outer goes on")

            var innerError: (any Error)?
            let outer = await asyncCode {
                try await withTimeout(.milliseconds(5)) {
                    do {
                        try await withTimeout(.milliseconds(20)) { try await loop.sleep(for: .seconds(1)) }
                    } catch {
                        innerError = error
                        throw error
                    }
                }
            }
            #expect(outer == .timedOut)
            #expect(innerError is CancellationError)
            #expect(loop.now.nanoseconds == 10_000_000)
        }
    }

    // covers: 79
    @Test(arguments: [(5, 10), (10, 5)], TestLoop.all)
    func outerTimeoutIsThrownWhenBothExpireWhileTheLoopIsBusy(limits: (Int, Int), kind: TestLoop) async throws {
        let (outer, inner) = limits
        try await withVirtualTimeLoop(kind) { loop, clock in
            let error = await asyncCode {
                try await withTimeout(.milliseconds(outer)) {
                    do {
                        try await withTimeout(.milliseconds(inner)) {
                            loop.callSoon { clock.advance(by: .milliseconds(20)) }
                            try await loop.sleep(for: .seconds(1))
                        }
                    } catch let error as EventLoopError where error.code == .timedOut {
                        // Reached only if the inner limit expired first; then the outer limit ends this sleep.
                        try await loop.sleep(for: .seconds(1))
                    }
                }
            }
            #expect(error == .timedOut)
            #expect(loop.now.nanoseconds == 20_000_000)
        }
    }

    @Test func timeoutNeedsARunningLoop() async {
        #expect(await asyncCode { try await withTimeout(.seconds(1)) {} } == .notRunning)
    }

    @Test(arguments: TestLoop.all)
    func taskOfThePoolMayUseADeadlineOfALoop(kind: TestLoop) async throws {
        try await withLoop(kind, patiently) { loop in
            let task = Task {
                await asyncCode {
                    try await loop.withDeadline(loop.now.advanced(by: .microseconds(10))) {
                        try await loop.sleep(for: .seconds(3600))
                    }
                }
            }
            #expect(await task.value == .timedOut)
        }
    }
}
