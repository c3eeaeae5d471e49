import CAsyncIO
import Synchronization

/// Where jobs run whose loop was closed before they came: one thread for the whole process, there while it has work.
///
/// Every loop operation answers `.closed` there, so such tasks come to their end.
enum ClosedLoopThread {
    private struct Entry {
        let word: UInt
        let loop: EventLoop
    }

    private struct State {
        var entries: [Entry] = []
        var isRunning = false
    }

    private static let state = Locked(State())
    /// The thread's identity while it works.
    private static let worker = Atomic<UInt>(0)

    static var isCurrent: Bool { worker.load(ordering: .relaxed) == aio_thread_identity() }

    /// Any thread.
    static func run(_ word: LoopWord, of loop: EventLoop) {
        let mustStart = state.withLock { state in
            state.entries.append(Entry(word: word.bits, loop: loop))
            if state.isRunning { return false }
            state.isRunning = true
            return true
        }
        guard mustStart else { return }
        let body: @convention(c) (UnsafeMutableRawPointer) -> Void = { _ in ClosedLoopThread.work() }
        if aio_thread_start(body, UnsafeMutableRawPointer(bitPattern: 1)!, "asyncio-closed") < 0 {
            // No thread can be had: the poster's own must do.
            work()
        }
    }

    private static func work() {
        worker.store(aio_thread_identity(), ordering: .relaxed)
        while true {
            let entries = state.withLock { state in
                let taken = state.entries
                state.entries = []
                if taken.isEmpty {
                    state.isRunning = false
                    worker.store(0, ordering: .relaxed)
                }
                return taken
            }
            if entries.isEmpty { return }
            for entry in entries {
                let word = LoopWord(bits: entry.word)
                entry.loop.run(word.job, word.kind, entry.loop.asUnownedTaskExecutor())
            }
        }
    }
}
