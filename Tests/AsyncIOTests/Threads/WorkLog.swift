import CAsyncIO
import SystemPackage

@testable import AsyncIO

/// What items of work did, on which threads, and which of them may end.
final class WorkLog: Sendable {
    struct State {
        var begun: [String] = []
        var finished: [String] = []
        var failed: [String] = []
        var errors: [Errno] = []
        var threads: Set<UInt> = []
        var threadNames: Set<String> = []
        var threadStarts = 0
        fileprivate var released: Set<String> = []
        fileprivate var areAllReleased = false
    }

    private let monitor = Monitor(State())

    var state: State { monitor.withLock { $0 } }

    func item(_ name: String, finish: @escaping @Sendable () -> Void = {}) -> GatedWork {
        GatedWork(name: name, log: self, onFinish: finish)
    }

    /// - Parameter startableThreads: How many threads can be started; more fail with EAGAIN.
    func workers(
        threadLimit: Int, queueLimit: Int = 1_000, idleDuration: Duration = .zero, startableThreads: Int = .max
    ) -> WorkerThreads {
        WorkerThreads(
            name: "asyncio-test", threadLimit: threadLimit, queueLimit: queueLimit, idleDuration: idleDuration,
            startThread: { [self] workers in
                let isStartable = monitor.withLock { state in
                    state.threadStarts += 1
                    return state.threadStarts <= startableThreads
                }
                guard isStartable else { return -EAGAIN }
                _ = OtherThread { workers.run() }
                return 0
            })
    }

    func release(_ name: String) {
        monitor.withLock { _ = $0.released.insert(name) }
        monitor.broadcast()
    }

    func releaseAll() {
        monitor.withLock { $0.areAllReleased = true }
        monitor.broadcast()
    }

    /// Waits until `condition` is met, as long as the time limit of the test allows.
    func until(_ condition: (State) -> Bool) async {
        while !condition(state) { await Task.yield() }
    }

    fileprivate func begin(_ name: String) {
        let threadName = currentThreadName()
        monitor.withLock { state in
            state.begun.append(name)
            state.threads.insert(currentThread())
            state.threadNames.insert(threadName)
        }
        _ = monitor.wait(until: .distantFuture) { state, _ -> Void? in
            state.areAllReleased || state.released.contains(name) ? () : nil
        }
    }

    fileprivate func note(_ change: (inout State) -> Void) {
        monitor.withLock(change)
    }
}

/// Work that blocks its thread until the log releases it.
final class GatedWork: WorkItem {
    private let name: String
    private let log: WorkLog
    private let onFinish: @Sendable () -> Void

    fileprivate init(name: String, log: WorkLog, onFinish: @escaping @Sendable () -> Void) {
        (self.name, self.log, self.onFinish) = (name, log, onFinish)
    }

    func perform() { log.begin(name) }

    func finish() {
        onFinish()
        log.note { $0.finished.append(name) }
    }

    func fail(_ error: Errno) {
        log.note {
            $0.failed.append(name)
            $0.errors.append(error)
        }
    }
}
