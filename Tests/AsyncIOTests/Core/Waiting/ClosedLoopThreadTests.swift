import AsyncIOTesting
import CAsyncIO
import Testing

@testable import AsyncIO

@Suite(.timeLimit(.minutes(2)))
struct ClosedLoopThreadTests {
    /// Submits its jobs to the thread of closed loops.
    private final class Late: TaskExecutor {
        let thread: ClosedLoopThread
        let loop: EventLoop

        init(_ thread: ClosedLoopThread, of loop: EventLoop) {
            (self.thread, self.loop) = (thread, loop)
        }

        func enqueue(_ job: consuming ExecutorJob) {
            thread.run(LoopWord(.taskJob, job: UnownedJob(job)), of: loop)
        }
    }

    private static func closedLoop() throws -> EventLoop {
        let loop = try LoopKind.auto.makeLoop()
        try loop.close()
        return loop
    }

    // covers: 105
    @Test func jobsRunOneAtATimeOnANamedThread() async throws {
        let late = Late(ClosedLoopThread(), of: try Self.closedLoop())
        let running = Counter()
        let tasks = (0..<rounds(debug: 200, full: 2_000)).map { _ in
            Task(executorPreference: late) {
                running.increment()
                let count = running.value
                return (count, currentThreadName(), late.thread.isCurrent)
            }
        }
        var counts: [Int] = []
        for task in tasks {
            let (count, name, isCurrent) = await task.value
            counts.append(count)
            #expect(name.hasPrefix("asyncio-closed-"))
            #expect(isCurrent)
        }
        // Two concurrent jobs would sooner or later read the same count.
        #expect(counts.sorted() == Array(1...tasks.count))
        #expect(!late.thread.isCurrent)
    }

    // covers: 105
    @Test func submittingThreadRunsTheJobsIfNoThreadCanBeStarted() async throws {
        let late = Late(ClosedLoopThread(startThread: { _ in -EAGAIN }), of: try Self.closedLoop())
        let task = try OtherThread.run {
            let outer = Task(executorPreference: late) {
                // Waits until the first job has ended, because the thread runs one job at a time.
                let inner = Task(executorPreference: late) { (currentThread(), late.thread.isCurrent) }
                return (currentThread(), late.thread.isCurrent, inner)
            }
            let isCurrentLater = late.thread.isCurrent
            return (currentThread(), isCurrentLater, outer)
        }
        let (submitter, isCurrentLater, outer) = task
        let (outerThread, outerIsCurrent, inner) = await outer.value
        let (innerThread, innerIsCurrent) = await inner.value
        #expect([outerThread, innerThread] == [submitter, submitter])
        #expect(outerIsCurrent && innerIsCurrent && !isCurrentLater)
    }
}
