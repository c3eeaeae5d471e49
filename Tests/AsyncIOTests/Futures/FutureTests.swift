import AsyncIO
import AsyncIOTesting
import Testing

struct FutureTests {
    private struct Failure: Error, Equatable {}

    // covers: 62
    @Test(arguments: LoopKind.available)
    func aFutureIsPendingUntilItIsCompletedOnce(kind: LoopKind) async throws {
        try await withLoop(kind) { loop in
            let future: Future<Int> = loop.createFuture()
            #expect(!future.isDone)
            #expect(!future.isCancelled)
            #expect(code { _ = try future.result() } == .invalidState)
            #expect(code { _ = try future.exception() } == .invalidState)
            try future.setResult(42)
            #expect(future.isDone)
            #expect(try future.result() == 42)
            #expect(try future.exception() == nil)
            #expect(code { try future.setResult(43) } == .invalidState)
            #expect(code { try future.setException(Failure()) } == .invalidState)
            #expect(!future.cancel())
            #expect(try future.result() == 42)

            let failed = try Future<Int>()
            #expect(failed.loop === loop)
            try failed.setException(Failure())
            #expect(failed.isDone && !failed.isCancelled)
            #expect(throws: Failure.self) { try failed.result() }
            #expect(try failed.exception() as? Failure == Failure())
            #expect(code { try failed.setResult(1) } == .invalidState)
        }
    }

    @Test func aFutureWithoutALoopNeedsARunningOne() {
        #expect(code { _ = try Future<Int>() } == .notRunning)
    }

    // covers: 63
    @Test(arguments: LoopKind.available)
    func doneCallbacksAreCalledByTheLoopInTheirOrder(kind: LoopKind) async throws {
        try await withLoop(kind) { loop in
            let future: Future<String> = loop.createFuture()
            var calls: [String] = []
            for number in 0..<3 {
                future.addDoneCallback { done in
                    #expect(done === future)
                    calls.append("\(number) \(try done.result())")
                }
            }
            loop.callSoon { calls.append("queued before") }
            try future.setResult("x")
            future.addDoneCallback { _ in calls.append("added when done") }
            loop.callSoon { calls.append("queued after") }
            #expect(calls == [])
            await loop.yield()
            #expect(calls == ["queued before", "0 x", "1 x", "2 x", "added when done", "queued after"])
        }
    }

    // covers: 63
    @Test(arguments: LoopKind.available)
    func tasksThatWaitGoOnInTheOrderOfAllListeners(kind: LoopKind) async throws {
        try await withLoop(kind) { loop in
            let future: Future<Int> = loop.createFuture()
            var order: [String] = []
            future.addDoneCallback { _ in order.append("callback") }
            let tasks = (0..<3).map { number in
                loop.createTask {
                    let value = try await future.value
                    order.append("task \(number): \(value)")
                }
            }
            await loop.yield()
            future.addDoneCallback { _ in order.append("last callback") }
            try future.setResult(7)
            for task in tasks { try await task.value }
            #expect(order == ["callback", "task 0: 7", "task 1: 7", "task 2: 7", "last callback"])
        }
    }

    @Test(arguments: LoopKind.available)
    func anErrorOfADoneCallbackIsReportedAndDisturbsNoOther(kind: LoopKind) async throws {
        try await withLoop(kind, LoopTestOptions(unhandledErrors: 1)) { loop in
            let future: Future<Void> = loop.createFuture()
            var calls = 0
            future.addDoneCallback { _ in throw Failure() }
            future.addDoneCallback { _ in calls += 1 }
            try future.setResult(())
            await loop.yield()
            #expect(calls == 1)
        }
    }

    // covers: 64
    @Test(arguments: LoopKind.available)
    func doneCallbacksAreRemovedByTheirToken(kind: LoopKind) async throws {
        try await withLoop(kind) { loop in
            let future: Future<Int> = loop.createFuture()
            var calls: [Int] = []
            let tokens = (0..<6).map { number in future.addDoneCallback { _ in calls.append(number) } }
            #expect(future.removeDoneCallback(tokens[0]))
            #expect(future.removeDoneCallback(tokens[3]))
            #expect(!future.removeDoneCallback(tokens[3]))
            #expect(future.removeDoneCallback(tokens[5]))
            try future.setResult(1)
            // They are scheduled, so it is too late.
            #expect(!future.removeDoneCallback(tokens[1]))
            await loop.yield()
            #expect(calls == [1, 2, 4])
        }
    }

    // covers: 64
    @Test(arguments: LoopKind.available)
    func theListMayChangeWhileItIsChanged(kind: LoopKind) async throws {
        /// Removes another callback, and adds one, when its own closure is released.
        final class Meddling {
            var onRelease: () -> Void = {}
            deinit { onRelease() }
        }
        try await withLoop(kind) { loop in
            let future: Future<Int> = loop.createFuture()
            var calls: [String] = []
            let other = future.addDoneCallback { _ in calls.append("removed by the other one's release") }
            let token = {
                let meddling = Meddling()
                meddling.onRelease = {
                    #expect(future.removeDoneCallback(other))
                    future.addDoneCallback { _ in calls.append("added by a release") }
                }
                return future.addDoneCallback { _ in withExtendedLifetime(meddling) {} }
            }()
            future.addDoneCallback { _ in
                calls.append("first")
                future.addDoneCallback { _ in calls.append("added by a callback") }
            }
            #expect(future.removeDoneCallback(token))
            try future.setResult(1)
            await loop.yield()
            await loop.yield()
            #expect(calls == ["first", "added by a release", "added by a callback"])
        }
    }

    // covers: 65
    @Test(arguments: LoopKind.available)
    func cancellingAPendingFutureRunsItsCallbacksAndEndsItsWaits(kind: LoopKind) async throws {
        try await withLoop(kind) { loop in
            let future: Future<Int> = loop.createFuture()
            var calls = 0
            future.addDoneCallback { done in
                #expect(done.isCancelled)
                calls += 1
            }
            let task = loop.createTask { try await future.value }
            await loop.yield()
            #expect(future.cancel())
            #expect(!future.cancel())
            #expect(future.isCancelled && future.isDone)
            #expect(calls == 0)
            await #expect(throws: CancellationError.self) { try await task.value }
            #expect(calls == 1)
            #expect(throws: CancellationError.self) { try future.result() }
            #expect(throws: CancellationError.self) { try future.exception() }
            #expect(code { try future.setResult(1) } == .invalidState)
        }
    }

    // covers: 73
    @Test(arguments: LoopKind.available)
    func aCancelledTaskEndsItsWaitAndTheFutureLives(kind: LoopKind) async throws {
        try await withLoop(kind) { loop in
            let future: Future<Int> = loop.createFuture()
            let tasks = (0..<100).map { _ in loop.createTask { try await future.value } }
            await loop.yield()
            for task in tasks.dropLast() { task.cancel() }
            for task in tasks.dropLast() {
                await #expect(throws: CancellationError.self) { try await task.value }
            }
            #expect(!future.isDone)
            try future.setResult(5)
            let remaining = try await tasks.last?.value
            #expect(remaining == 5)
            // What need not wait succeeds in a cancelled task too.
            let late = loop.createTask {
                withUnsafeCurrentTask { $0?.cancel() }
                return try await future.value
            }
            let lateValue = try await late.value
            #expect(lateValue == 5)
        }
    }

    // covers: 75
    @Test(arguments: LoopKind.available)
    func aCancellationInTheTickOfTheResultLosesNoResult(kind: LoopKind) async throws {
        try await withLoop(kind) { loop in
            for isResultFirst in [true, false] {
                let future: Future<Int> = loop.createFuture()
                let task = loop.createTask { try await future.value }
                await loop.yield()
                if isResultFirst {
                    try future.setResult(5)
                    task.cancel()
                    let result = try await task.value
                    #expect(result == 5)
                } else {
                    task.cancel()
                    try future.setResult(5)
                    await #expect(throws: CancellationError.self) { try await task.value }
                    #expect(try future.result() == 5)
                }
            }
        }
    }

    // covers: 66
    @Test(arguments: LoopKind.available)
    func anErrorThatNobodyReadIsReportedOnceAndAReadOneIsNot(kind: LoopKind) async throws {
        try await withLoop(kind, LoopTestOptions(unhandledErrors: 2)) { loop in
            var reports: [ExceptionContext] = []
            loop.setExceptionHandler { _, context in reports.append(context) }
            do {
                let unread: Future<Int> = loop.createFuture()
                try unread.setException(Failure())
                _ = unread.isDone
                // Whose callbacks do not look at the error.
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
        }
    }

    // covers: 66
    @Test func aReportThatComesAfterTheLoopsEndGoesToStandardError() async throws {
        let result = try await #require(processExitsWith: .success, observing: [\.standardErrorContent]) {
            let closed = try LoopKind.auto.makeLoop()
            do {
                let future: Future<Int> = closed.createFuture()
                try future.setException(EventLoopError(.busy, "after the close"))
                try closed.close()
            }
            // Its loop goes with it, and was never run.
            let future: Future<Int> = try LoopKind.auto.makeLoop().createFuture()
            try future.setException(EventLoopError(.busy, "without a loop"))
        }
        let lines = String(decoding: result.standardErrorContent, as: UTF8.self).split(separator: "\n")
            .filter { $0.hasPrefix("asyncio: Future exception was never retrieved: ") }
        #expect(lines.count == 2)
        #expect(lines.first?.contains("after the close") == true)
        #expect(lines.last?.contains("without a loop") == true)
    }

    // covers: 66
    @Test(arguments: LoopKind.available)
    func aReportIsMadeThoughTheLoopIsClosedNext(kind: LoopKind) async throws {
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
            // Nobody else has it: it is released on the other thread.
            try OtherThread.run { box.future = nil }
            try loop.close()
            #expect(reports == 2)
        }
    }

    private final class Box {
        var future: Future<Int>?

        init(_ future: consuming Future<Int>) { self.future = future }
    }

    // covers: 32, 34
    @Test(arguments: LoopKind.available)
    func waitsEndWhenTheLoopIsClosed(kind: LoopKind) async throws {
        try await withLoopThread(kind, LoopTestOptions(mayLeaveWork: true)) { loop in
            let future: Future<Int> = loop.createFuture()
            nonisolated(unsafe) let shared = future
            var outcome: EventLoopError.Code?
            nonisolated(unsafe) let note: (EventLoopError.Code?) -> Void = { outcome = $0 }
            future.addDoneCallback { _ in Issue.record("called by a closed loop") }
            try loop.runUntilComplete {
                Task(executorPreference: loop) { note(await asyncCode { _ = try await shared.value }) }
                while loop.statistics.waitingTasks == 0 { await loop.yield() }
            }
            try loop.close()
            #expect(outcome == .closed)
            #expect(code { try future.setResult(1) } == .closed)
            #expect(code { try future.setException(Failure()) } == .closed)
            #expect(!future.cancel())
        }
    }

    // covers: 104, 108
    @Test(arguments: LoopKind.available)
    func anotherThreadIsRefused(kind: LoopKind) async throws {
        try await withLoop(kind) { loop in
            nonisolated(unsafe) let future: Future<Int> = loop.createFuture()
            let refused = try OtherThread.run {
                [
                    code { try future.setResult(1) }, code { try future.setException(Failure()) },
                    code { _ = try future.result() }, code { _ = try future.exception() },
                ]
            }
            #expect(refused == Array(repeating: .wrongThread, count: 4))
            #expect(!future.isDone)
        }
    }

    @Test(arguments: LoopKind.available)
    func aTaskOfThePoolHopsToWait(kind: LoopKind) async throws {
        try await withLoop(kind, patiently) { loop in
            nonisolated(unsafe) let future: Future<Int> = loop.createFuture()
            let task = Task.detached { try await future.value }
            while loop.statistics.waitingTasks == 0 { await loop.yield() }
            try future.setResult(3)
            let hopped = try await task.value
            #expect(hopped == 3)
            #expect(loop.statistics.hops == 1)
        }
    }

    // covers: 24
    @Test(arguments: LoopKind.available)
    func runUntilCompleteRunsUntilTheFutureIsDone(kind: LoopKind) async throws {
        try await withLoopThread(kind) { loop in
            let future: Future<Int> = loop.createFuture()
            loop.callLater(after: .microseconds(10)) { try future.setResult(42) }
            let first = try loop.runUntilComplete(future)
            #expect(first == 42)
            // It is done, and the loop still runs a tick.
            var calls = 0
            loop.callSoon { calls += 1 }
            let again = try loop.runUntilComplete(future)
            #expect(again == 42)
            #expect(calls == 1)
            let failed: Future<Int> = loop.createFuture()
            loop.callSoon { try failed.setException(Failure()) }
            #expect(throws: Failure.self) { try loop.runUntilComplete(failed) }
            let cancelled: Future<Int> = loop.createFuture()
            loop.callSoon { cancelled.cancel() }
            #expect(throws: CancellationError.self) { try loop.runUntilComplete(cancelled) }
        }
    }

    // covers: 24
    @Test(arguments: LoopKind.available)
    func aFutureOfAnotherLoopIsRefused(kind: LoopKind) async throws {
        try await withLoopThread(kind) { loop in
            let other = try kind.makeLoop()
            let future: Future<Int> = other.createFuture()
            #expect(code { _ = try loop.runUntilComplete(future) } == .invalidArgument)
            #expect(!loop.isRunning)
            try other.close()
        }
    }

    // covers: 24, 25
    @Test(arguments: LoopKind.available)
    func aStopBeforeTheFutureIsAnErrorAndTheNextRunIsNotStopped(kind: LoopKind) async throws {
        try await withLoopThread(kind) { loop in
            let future: Future<Int> = loop.createFuture()
            loop.callSoon { loop.stop() }
            #expect(code { _ = try loop.runUntilComplete(future) } == .stoppedBeforeCompletion)
            // Done in the tick that is stopped: there is a result, and a callback that must not stop the next run.
            loop.callSoon {
                try future.setResult(1)
                loop.stop()
            }
            let inTime = try loop.runUntilComplete(future)
            #expect(inTime == 1)
            var ticks = 0
            func tick() {
                ticks += 1
                if ticks == 10 { loop.stop() } else { loop.callSoon(tick) }
            }
            loop.callSoon(tick)
            try loop.runForever()
            #expect(ticks == 10)
        }
    }
}
