import CAsyncIO
import Synchronization
import SystemPackage

/// Runs jobs that arrive after their loop was closed, on one thread of the process, which exists while there are such
/// jobs. Each operation of a closed loop throws `.closed`, so these tasks end. Two jobs never run at the same time,
/// because actors of a closed loop rely on one thread.
final class ClosedLoopThread: WorkItem {
    private struct State {
        var entries: [(word: LoopWord, loop: EventLoop)] = []
        var isRunning = false
    }

    static let shared = ClosedLoopThread()

    private let workers: WorkerThreads
    private let state = Locked(State())
    /// The identity of the thread that runs the jobs, or 0.
    private let runner = Atomic<UInt>(0)

    /// - Parameter startThread: For tests.
    init(startThread: @escaping WorkerThreads.StartThread = WorkerThreads.startSystemThread) {
        workers = WorkerThreads(
            name: "asyncio-closed", threadLimit: 1, queueLimit: .max, startThread: startThread)
    }

    /// Whether the calling thread runs the jobs.
    var isCurrent: Bool { runner.load(ordering: .relaxed) == aio_thread_identity() }

    /// Runs the job of `word`, which belongs to the closed `loop`, on any thread.
    func run(_ word: LoopWord, of loop: EventLoop) {
        let mustStart = state.withLock { state in
            state.entries.append((word, loop))
            if state.isRunning { return false }
            state.isRunning = true
            return true
        }
        // Never rejected, because the queue has no limit.
        if mustStart { _ = workers.submit(self) }
    }

    func perform() { runAll() }

    func finish() {}

    /// If no thread could be started, the thread that submitted the first job runs all of them.
    func fail(_ error: Errno) { runAll() }

    private func runAll() {
        runner.store(aio_thread_identity(), ordering: .relaxed)
        while true {
            let entries = state.withLock { state in
                let taken = state.entries
                state.entries = []
                if taken.isEmpty {
                    state.isRunning = false
                    runner.store(0, ordering: .relaxed)
                }
                return taken
            }
            if entries.isEmpty { return }
            for (word, loop) in entries { loop.run(word.job, word.kind, loop.asUnownedTaskExecutor()) }
        }
    }
}
