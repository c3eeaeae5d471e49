import AsyncIOSystem
import CAsyncIO
import SystemPackage

/// Work that blocks its thread, for ``WorkerThreads``: the request, the result, and where to send the result.
protocol WorkItem: AnyObject, Sendable {
    func perform()

    /// Publishes the result, on the same thread, which counts as free from now on, so that an item that the receiver
    /// of the result submits needs no further thread. Must not block.
    func finish()

    /// Publishes that no thread could be started, in place of the other two calls, on the thread that needed one.
    func fail(_ error: Errno)
}

/// A few threads for work that blocks: as many as the work needs, up to a limit. Items begin in the order in which they
/// were submitted. Each use has an instance of its own, so that host names whose servers are silent delay nothing else.
///
/// A thread is started when an item is submitted that no free thread will take. It retains the instance, and ends when
/// it has found nothing to do for ``idleDuration``.
final class WorkerThreads: Sendable {
    /// Starts a thread that calls ``run()``. Returns 0 or `-errno`.
    typealias StartThread = @Sendable (WorkerThreads) -> CInt

    private struct State {
        var threadLimit: Int
        var waiting: [any WorkItem] = []
        /// Threads that were started and have not decided to end.
        var threads = 0
        /// Those of them that perform an item.
        var busy = 0

        /// Items that no thread is about to take; negative when free threads outnumber the items.
        var unserved: Int { waiting.count - (threads - busy) }
    }

    private enum Step {
        case perform(any WorkItem)
        case end
    }

    /// Linux shows the first 15 bytes.
    let name: StaticString
    /// How many items may wait when all threads that the limit allows are in use.
    let queueLimit: Int
    /// Zero: a thread ends at once.
    let idleDuration: Duration
    private let startThread: StartThread
    private let state: Monitor<State>

    init(
        name: StaticString, threadLimit: Int, queueLimit: Int, idleDuration: Duration = .zero,
        startThread: @escaping StartThread = WorkerThreads.startSystemThread
    ) {
        self.name = name
        self.queueLimit = queueLimit
        self.idleDuration = idleDuration
        self.startThread = startThread
        state = Monitor(State(threadLimit: threadLimit))
    }

    /// Queues `item` for a free or new thread. Returns false if ``queueLimit`` items are waiting already. Any thread.
    func submit(_ item: any WorkItem) -> Bool {
        let needsThread = state.withLock { state -> Bool? in
            if state.unserved >= queueLimit { return nil }
            state.waiting.append(item)
            let needsThread = state.unserved > 0 && state.threads < state.threadLimit
            if needsThread { state.threads += 1 }
            return needsThread
        }
        guard let needsThread else { return false }
        if needsThread { addThread() } else { state.signal() }
        return true
    }

    /// Takes `item` back. Returns whether it had not begun, and so never will. Any thread.
    func withdraw(_ item: any WorkItem) -> Bool {
        state.withLock { state in
            guard let index = state.waiting.firstIndex(where: { $0 === item }) else { return false }
            state.waiting.remove(at: index)
            return true
        }
    }

    /// The most threads at a time; with zero, submitted items wait. Any thread. A higher limit starts threads for items
    /// that wait; above a lower one, threads end as soon as they have finished their items.
    var threadLimit: Int {
        get { state.withLock { $0.threadLimit } }
        set {
            let missing = state.withLock { state in
                state.threadLimit = newValue
                let missing = max(0, min(state.unserved, newValue - state.threads))
                state.threads += missing
                return missing
            }
            state.broadcast()
            for _ in 0..<missing { addThread() }
        }
    }

    /// Any thread.
    var waitingCount: Int { state.withLock { $0.waiting.count } }

    /// Any thread.
    var threadCount: Int { state.withLock { $0.threads } }

    /// The only function of each thread.
    func run() {
        while case .perform(let item) = next() {
            item.perform()
            state.withLock { $0.busy -= 1 }
            item.finish()
        }
    }

    private func next() -> Step {
        let mayIdle = idleDuration > .zero
        let deadline = mayIdle ? MonotonicClock.now.advanced(by: idleDuration) : .distantFuture
        let step = state.wait(until: deadline) { state, isLate -> Step? in
            if state.threads <= state.threadLimit {
                if !state.waiting.isEmpty {
                    state.busy += 1
                    return .perform(state.waiting.removeFirst())
                }
                if mayIdle, !isLate { return nil }
            }
            state.threads -= 1
            return .end
        }
        return step ?? .end
    }

    /// Starts a thread that is counted already.
    private func addThread() {
        let result = startThread(self)
        if result < 0 { threadDidNotStart(Errno(rawValue: -result)) }
    }

    /// The other threads take what waits. If there are none, it fails.
    private func threadDidNotStart(_ error: Errno) {
        let stranded = state.withLock { state -> [any WorkItem] in
            state.threads -= 1
            guard state.threads == 0 else { return [] }
            defer { state.waiting = [] }
            return state.waiting
        }
        for item in stranded { item.fail(error) }
    }

    static let startSystemThread: StartThread = { workers in
        let argument = Unmanaged.passRetained(workers)
        let body: @convention(c) (UnsafeMutableRawPointer) -> Void = { argument in
            Unmanaged<WorkerThreads>.fromOpaque(argument).takeRetainedValue().run()
        }
        let result = aio_thread_start(body, argument.toOpaque(), workers.name.description)
        if result < 0 { argument.release() }
        return result
    }
}
