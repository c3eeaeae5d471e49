import CAsyncIO

/// What has come for one ``SignalSequence``, and who waits for it. The loop's thread only.
///
/// It is bounded: a signal that comes again before it was taken is one.
final class SignalSubscription: EventSource {
    let signals: [Signal]
    // SAFETY: used in the loop's own turns, and by a sequence, which holds the loop.
    private unowned let loop: EventLoop
    /// The signals' counters when they were looked at last.
    private var seen: [UInt64] = []
    /// Each once, first come, first served: one that comes all the time holds up no other.
    private var arrived: [Signal] = []
    private var waiters: [WaiterToken] = []

    init(loop: EventLoop, signals: Set<Signal>) {
        self.loop = loop
        self.signals = signals.sorted { $0.rawValue < $1.rawValue }
    }

    override var label: String { "a sequence of signals" }

    override var endedBy: EndingCause { .thread }

    /// What came before is not for it.
    func lookAway() {
        seen = signals.map { aio_signal_count($0.rawValue) }
    }

    /// Takes note of what came since.
    func look() {
        for (index, signal) in signals.enumerated() {
            let count = aio_signal_count(signal.rawValue)
            if count == seen[index] { continue }
            seen[index] = count
            if !arrived.contains(signal) { arrived.append(signal) }
        }
        wakeWaiters()
    }

    /// The next signal. At home.
    func next(_ record: TaskRecord?) async throws -> Signal {
        while arrived.isEmpty {
            if loop.isClosed { throw EventLoopError.closed }
            let token = loop.makeWaiter()
            waiters.append(token)
            let outcome = await loop.suspend(token, record)
            waiters.removeAll { $0 == token }
            // The signal that it was to be woken for is another one's now.
            if outcome != .ready { wakeWaiters() }
            try loop.check(outcome)
        }
        defer { wakeWaiters() }
        return arrived.removeFirst()
    }

    /// One task for each signal that is there; who finds nothing waits again.
    private func wakeWaiters() {
        for waiter in waiters.prefix(arrived.count) { loop.settle(waiter, .ready) }
    }

    /// The last copy of the sequence is gone.
    override func abandoned() {
        end()
        loop.unregister(self)
    }

    func end() {
        guard let source = loop.signalSource else { return }
        source.remove(self)
        loop.removeUnusedSignalSource()
    }
}
