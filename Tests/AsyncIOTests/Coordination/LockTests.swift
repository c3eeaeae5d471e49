import AsyncIO
import AsyncIOTesting
import Testing

struct LockTests {
    private struct Failure: Error {}

    // covers: 312
    @Test(arguments: TestLoop.all)
    func oneTaskAtATimeHoldsTheLockInTheOrderOfTheCalls(kind: TestLoop) async throws {
        try await withVirtualLoop(kind) { loop in
            let lock = Lock()
            var order: [String] = []
            let tasks = (0..<4).map { number in
                loop.createTask {
                    try await lock.withLock {
                        order.append("\(number) in")
                        try await loop.sleep(for: .milliseconds(4 - number))
                        order.append("\(number) out")
                    }
                }
            }
            for task in tasks { try await task.value }
            #expect(order == (0..<4).flatMap { ["\($0) in", "\($0) out"] })
            #expect(!lock.isLocked)
        }
    }

    // covers: 312
    @Test(arguments: TestLoop.all)
    func releaseOfAFreeLockIsAnError(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let lock = Lock()
            #expect(code { try lock.release() } == .invalidState)
            try await lock.acquire()
            #expect(lock.isLocked)
            try lock.release()
            #expect(!lock.isLocked)
            #expect(code { try lock.release() } == .invalidState)
        }
    }

    // covers: 312
    @Test(arguments: TestLoop.all)
    func bodyThatThrowsReleasesTheLock(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let lock = Lock()
            await #expect(throws: Failure.self) { try await lock.withLock { throw Failure() } }
            #expect(!lock.isLocked)
            // Also if the body had to wait for the lock, and if it was cancelled.
            try await lock.acquire()
            let failing = loop.createTask { try await lock.withLock { throw Failure() } }
            let cancelled = loop.createTask { try await lock.withLock { try await loop.sleep(for: .seconds(3_600)) } }
            await loop.yield()
            try lock.release()
            await #expect(throws: Failure.self) { try await failing.value }
            for _ in 0..<3 { await loop.yield() }
            #expect(lock.isLocked)
            cancelled.cancel()
            await #expect(throws: CancellationError.self) { try await cancelled.value }
            #expect(!lock.isLocked)
        }
    }

    // covers: 312
    @Test(arguments: TestLoop.all)
    func noTaskOvertakesOneThatWaits(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let lock = Lock()
            var order: [String] = []
            try await lock.acquire()
            let waiting = loop.createTask {
                try await lock.withLock { order.append("waiting") }
            }
            await loop.yield()
            try lock.release()
            // The lock belongs to the task that waited, although it has not continued.
            #expect(lock.isLocked)
            try await lock.withLock { order.append("late") }
            try await waiting.value
            #expect(order == ["waiting", "late"])
        }
    }

    // covers: 313, F65
    @Test(arguments: TestLoop.all, CancellationTests.Kind.onTheLoop)
    func taskThatIsCancelledWhenItWasChosenPassesTheLockOn(
        loopKind: TestLoop, kind: CancellationTests.Kind
    ) async throws {
        try await withLoop(loopKind) { loop in
            // Every set of three waiting tasks that is cancelled, before the release or after it.
            for isReleaseFirst in [false, true] {
                for cancelled in 0..<8 {
                    let lock = Lock()
                    var order: [Int] = []
                    try await lock.acquire()
                    let tasks = (0..<3).map { number in
                        kind.start(on: loop) { try await lock.withLock { order.append(number) } }
                    }
                    while loop.statistics.waitingTasks < 3 { await loop.yield() }
                    if isReleaseFirst { try lock.release() }
                    for number in 0..<3 where cancelled & 1 << number != 0 { tasks[number].cancel() }
                    if !isReleaseFirst { try lock.release() }
                    for number in 0..<3 {
                        let wasCancelled = await isCancelled(tasks[number])
                        #expect(wasCancelled == (cancelled & 1 << number != 0))
                    }
                    #expect(order == (0..<3).filter { cancelled & 1 << $0 == 0 })
                    #expect(!lock.isLocked)
                }
            }
        }
    }

    @Test(arguments: TestLoop.all)
    func freeLockIsTakenAtOnceEvenInACancelledTask(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let lock = Lock()
            let task = loop.createTask {
                withUnsafeCurrentTask { $0?.cancel() }
                let before = loop.statistics
                try await lock.acquire()
                try lock.release()
                try await lock.withLock {}
                #expect(loop.statistics.suspensions == before.suspensions && loop.statistics.ticks == before.ticks)
                // A wait fails.
                try await lock.acquire()
                await #expect(throws: CancellationError.self) { try await lock.acquire() }
                try lock.release()
            }
            try await task.value
        }
    }

    @Test(arguments: TestLoop.all)
    func manyCancelledWaitsLeaveNothingBehind(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let lock = Lock()
            try await lock.acquire()
            let first = loop.createTask { try await lock.acquire() }
            await loop.yield()
            for _ in 0..<100 {
                let tasks = (0..<50).map { _ in loop.createTask { try await lock.acquire() } }
                await loop.yield()
                for task in tasks { task.cancel() }
                for task in tasks { await #expect(throws: CancellationError.self) { try await task.value } }
            }
            #expect("\(lock)" == "<Lock locked, 1 waiting>")
            #expect(loop.statistics.waitingTasks == 1)
            try lock.release()
            try await first.value
            #expect("\(lock)" == "<Lock locked>")
        }
    }

    // covers: 34
    @Test(arguments: TestLoop.all)
    func closingTheLoopEndsWaits(kind: TestLoop) async throws {
        try await withLoopThread(kind, LoopTestOptions(allowsLeftoverWork: true)) { loop in
            let lock = Lock()
            nonisolated(unsafe) let shared = lock
            var outcomes: [EventLoopError.Code?] = []
            nonisolated(unsafe) let note: (EventLoopError.Code?) -> Void = { outcomes.append($0) }
            try loop.runUntilComplete {
                try await shared.acquire()
                for _ in 0..<2 {
                    let body = { @Sendable () async -> Void in
                        note(
                            await asyncCode {
                                try await shared.withLock { #expect(Bool(false), "a closed loop's lock") }
                            })
                        note(await asyncCode { try await shared.acquire() })
                    }
                    Task(executorPreference: loop, operation: body)
                }
                while loop.statistics.waitingTasks < 2 { await loop.yield() }
            }
            try loop.close()
            #expect(outcomes == Array(repeating: .closed, count: 4))
        }
    }
}
