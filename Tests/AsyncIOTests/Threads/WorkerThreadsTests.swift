import CAsyncIO
import SystemPackage
import Testing

@testable import AsyncIO

@Suite(.timeLimit(.minutes(2)))
struct WorkerThreadsTests {
    @Test func itemRunsOnANamedThreadThatEndsAfterIt() async {
        let log = WorkLog()
        let workers = WorkerThreads(name: "asyncio-test", threadLimit: 2, queueLimit: 10)
        #expect(workers.threadCount == 0)
        for name in ["first", "second"] {
            #expect(workers.submit(log.item(name)))
            await log.until { $0.begun.last == name && workers.threadCount == 1 }
            log.release(name)
            await log.until { $0.finished.last == name && workers.threadCount == 0 }
        }
        #expect(log.state.threadNames.allSatisfy { $0.hasPrefix("asyncio-test-") })
        #expect(!log.state.threads.contains(currentThread()))
    }

    @Test func itemsBeginInOrderOnAtMostTheLimitOfThreads() async {
        let log = WorkLog()
        let workers = log.workers(threadLimit: 2)
        for name in ["a", "b", "c", "d", "e"] { #expect(workers.submit(log.item(name))) }
        await log.until { $0.begun.count == 2 }
        #expect(workers.threadCount == 2)
        #expect(workers.waitingCount == 3)
        // One after another, because two threads note what they began in any order.
        for (done, next) in [("b", "c"), ("c", "d"), ("d", "e")] {
            log.release(done)
            await log.until { $0.begun.last == next }
        }
        #expect(workers.waitingCount == 0)
        log.releaseAll()
        await log.until { $0.finished.count == 5 && workers.threadCount == 0 }
        #expect(Array(log.state.begun[2...]) == ["c", "d", "e"])
        #expect(log.state.threadStarts == 2)
    }

    @Test func itemSubmittedWithAResultNeedsNoFurtherThread() async {
        let log = WorkLog()
        let workers = log.workers(threadLimit: 4)
        log.releaseAll()
        let last = log.item("last")
        let middle = log.item("middle") { _ = workers.submit(last) }
        #expect(workers.submit(log.item("first") { _ = workers.submit(middle) }))
        await log.until { $0.finished.count == 3 && workers.threadCount == 0 }
        #expect(log.state.begun == ["first", "middle", "last"])
        #expect(log.state.threadStarts == 1)
    }

    @Test func threadLimitCanBeChangedAtAnyTime() async {
        let log = WorkLog()
        let workers = log.workers(threadLimit: 0)
        for index in 0..<6 { #expect(workers.submit(log.item("\(index)"))) }
        #expect(workers.threadCount == 0)
        #expect(workers.waitingCount == 6)

        workers.threadLimit = 3
        #expect(workers.threadLimit == 3)
        await log.until { $0.begun.count == 3 }
        #expect(workers.threadCount == 3)

        // Two threads end with their items, although others wait.
        workers.threadLimit = 1
        let first = log.state.begun
        log.release(first[0])
        log.release(first[1])
        await log.until { $0.finished.count == 2 && workers.threadCount == 1 }
        #expect(workers.waitingCount == 3)

        log.releaseAll()
        await log.until { $0.finished.count == 6 && workers.threadCount == 0 }
        #expect(log.state.threadStarts == 3)
    }

    /// The bound counts what no thread is about to take, so that it does not depend on how fast threads start.
    @Test func itemsBeyondTheQueueLimitAreRefused() async {
        let log = WorkLog()
        let workers = log.workers(threadLimit: 2, queueLimit: 3)
        let items = (0..<5).map { log.item("\($0)") }
        for item in items { #expect(workers.submit(item)) }
        #expect(!workers.submit(log.item("refused")))
        await log.until { $0.begun.count == 2 }
        #expect(!workers.submit(log.item("refused")))

        // Withdrawing one makes room for another.
        #expect(workers.withdraw(items[4]))
        #expect(workers.submit(log.item("accepted")))
        #expect(!workers.submit(log.item("refused")))
        log.releaseAll()
        await log.until { $0.finished.count == 5 && workers.threadCount == 0 }
        // Two threads note what they began in any order.
        #expect(log.state.begun.sorted() == ["0", "1", "2", "3", "accepted"])
    }

    @Test func onlyAnItemThatHasNotBegunCanBeWithdrawn() async {
        let log = WorkLog()
        let workers = log.workers(threadLimit: 1)
        let (begun, waiting) = (log.item("begun"), log.item("waiting"))
        #expect(workers.submit(begun))
        #expect(workers.submit(waiting))
        await log.until { $0.begun == ["begun"] }
        #expect(!workers.withdraw(begun))
        #expect(workers.withdraw(waiting))
        #expect(!workers.withdraw(waiting))
        #expect(workers.waitingCount == 0)
        log.releaseAll()
        await log.until { $0.finished == ["begun"] && workers.threadCount == 0 }
        #expect(log.state.begun == ["begun"])
    }

    @Test func idleThreadTakesTheNextItem() async {
        let log = WorkLog()
        let workers = log.workers(threadLimit: 4, idleDuration: .seconds(3600))
        for index in 0..<3 {
            #expect(workers.submit(log.item("\(index)")))
            log.release("\(index)")
            await log.until { $0.finished.count == index + 1 }
        }
        #expect(log.state.threadStarts == 1)

        // One is idle, so two items need one more thread.
        for index in 3..<5 { #expect(workers.submit(log.item("\(index)"))) }
        await log.until { $0.begun.count == 5 }
        #expect(log.state.threadStarts == 2)
        log.releaseAll()
        await log.until { $0.finished.count == 5 }
        #expect(workers.threadCount == 2)

        // A lower limit ends idle threads at once.
        workers.threadLimit = 1
        await log.until { _ in workers.threadCount == 1 }
        workers.threadLimit = 0
        await log.until { _ in workers.threadCount == 0 }
    }

    @Test func idleThreadEndsAfterItsTime() async {
        let log = WorkLog()
        let workers = log.workers(threadLimit: 2, idleDuration: .milliseconds(1))
        log.releaseAll()
        for index in 0..<3 {
            #expect(workers.submit(log.item("\(index)")))
            await log.until { $0.finished.count == index + 1 && workers.threadCount == 0 }
        }
    }

    @Test func everyWaitingItemFailsWithoutAThread() async {
        let log = WorkLog()
        let workers = log.workers(threadLimit: 0, startableThreads: 0)
        for index in 0..<2 { #expect(workers.submit(log.item("\(index)"))) }
        workers.threadLimit = 1
        #expect(log.state.failed == ["0", "1"])
        #expect(workers.submit(log.item("2")))
        #expect(log.state.failed == ["0", "1", "2"])
        #expect(log.state.errors.allSatisfy { $0 == .resourceTemporarilyUnavailable })
        #expect(workers.threadCount == 0)
        #expect(workers.waitingCount == 0)
        #expect(log.state.begun.isEmpty)
    }

    @Test func itemThatGotNoThreadIsTakenByAnother() async {
        let log = WorkLog()
        let workers = log.workers(threadLimit: 3, startableThreads: 1)
        for index in 0..<3 { #expect(workers.submit(log.item("\(index)"))) }
        await log.until { $0.begun == ["0"] }
        #expect(workers.threadCount == 1)
        #expect(workers.waitingCount == 2)
        log.releaseAll()
        await log.until { $0.finished.count == 3 && workers.threadCount == 0 }
        #expect(log.state.failed.isEmpty)
    }

    @Test func hungItemsDelayNoOtherInstance() async {
        let log = WorkLog()
        let hung = log.workers(threadLimit: 1)
        let other = log.workers(threadLimit: 1)
        for index in 0..<3 { #expect(hung.submit(log.item("hung\(index)"))) }
        await log.until { $0.begun == ["hung0"] }
        log.release("other")
        #expect(other.submit(log.item("other")))
        await log.until { $0.finished == ["other"] && other.threadCount == 0 }
        log.releaseAll()
        await log.until { $0.finished.count == 4 && hung.threadCount == 0 }
    }

    @Test func instanceIsReleasedAfterItsLastThread() async {
        let log = WorkLog()
        var workers: WorkerThreads? = WorkerThreads(name: "asyncio-test", threadLimit: 1, queueLimit: 1)
        weak let observed = workers
        _ = workers?.submit(log.item("item"))
        workers = nil
        await log.until { $0.begun == ["item"] }
        #expect(observed != nil)
        log.releaseAll()
        await log.until { _ in observed == nil }
        #expect(log.state.finished == ["item"])
    }

    /// Users' objects that hang on an item are never released under the lock.
    @Test func itemMayUseTheThreadsInItsDeinit() async {
        final class Submitting: Sendable {
            let released: @Sendable () -> Void
            init(_ released: @escaping @Sendable () -> Void) { self.released = released }
            deinit { released() }
        }
        let log = WorkLog()
        let workers = log.workers(threadLimit: 1)
        func item(_ name: String) -> GatedWork {
            let object = Submitting { _ = workers.submit(log.item("after \(name)")) }
            return log.item(name) { withExtendedLifetime(object) {} }
        }
        #expect(workers.submit(item("performed")))
        #expect(workers.submit(log.item("between")))
        await log.until { $0.begun == ["performed"] }
        do {
            let withdrawn = item("withdrawn")
            #expect(workers.submit(withdrawn))
            #expect(workers.withdraw(withdrawn))
        }
        log.releaseAll()
        await log.until { $0.finished.count == 4 && workers.threadCount == 0 }
        #expect(log.state.finished == ["performed", "between", "after withdrawn", "after performed"])
    }

    /// Whatever the interleaving, each item is performed or withdrawn; the thread sanitizer watches.
    @Test(arguments: [Duration.zero, .microseconds(10)])
    func eachItemIsEitherPerformedOrWithdrawn(idleDuration: Duration) async {
        final class Counting: WorkItem {
            let performed: Counter, finished: Counter
            init(_ performed: Counter, _ finished: Counter) { (self.performed, self.finished) = (performed, finished) }
            func perform() { performed.increment() }
            func finish() { finished.increment() }
            func fail(_ error: Errno) { Issue.record("a thread could not be started: \(error)") }
        }
        let (performed, finished, withdrawn) = (Counter(), Counter(), Counter())
        let workers = WorkerThreads(
            name: "asyncio-test", threadLimit: 3, queueLimit: .max, idleDuration: idleDuration)
        let count = rounds(debug: 500, full: 5_000)
        let submitters = (0..<4).map { submitter in
            OtherThread {
                for index in 0..<count {
                    let item = Counting(performed, finished)
                    _ = workers.submit(item)
                    if index % 3 == 0, workers.withdraw(item) { withdrawn.increment() }
                    if index % 50 == submitter { workers.threadLimit = 1 + index % 4 }
                }
            }
        }
        for submitter in submitters { submitter.join() }
        while workers.threadCount > 0 { await Task.yield() }
        #expect(performed.value + withdrawn.value == 4 * count)
        #expect(finished.value == performed.value)
        #expect(workers.waitingCount == 0)
    }
}
