import CAsyncIO

/// The signals that were delivered for one sequence, each at most once, and the tasks that wait for them.
final class SignalSubscription: EventSource {
    let signals: [Signal]
    // SAFETY: used in callbacks of the loop, and by a sequence, which retains the loop.
    private unowned let loop: EventLoop
    /// The values of the signals' counters when they were last read.
    private var seen: [UInt64] = []
    /// Signals that were not taken yet, each once, in order: a signal that is delivered continuously delays no other.
    private var arrived: [Signal] = []
    private var waiters: [WaiterToken] = []

    init(loop: EventLoop, signals: Set<Signal>) {
        self.loop = loop
        self.signals = signals.sorted { $0.rawValue < $1.rawValue }
    }

    override var label: String { "a sequence of signals" }

    override var endedBy: EndingCause { .thread }

    func skipEarlierSignals() {
        seen = signals.map { aio_signal_count($0.rawValue) }
    }

    /// Adds the signals that were delivered since the last call, and resumes waiting tasks.
    func collectSignals() {
        for (index, signal) in signals.enumerated() {
            let count = aio_signal_count(signal.rawValue)
            if count == seen[index] { continue }
            seen[index] = count
            if !arrived.contains(signal) { arrived.append(signal) }
        }
        wakeWaiters()
    }

    func next(_ record: TaskRecord?) async throws -> Signal {
        while arrived.isEmpty {
            if loop.isClosed { throw EventLoopError.closed }
            let token = loop.makeWaiter()
            waiters.append(token)
            let outcome = await loop.suspend(token, record)
            waiters.removeAll { $0 == token }
            // Another task gets the signal that this one was to be resumed for.
            if outcome != .ready { wakeWaiters() }
            try loop.check(outcome)
        }
        defer { wakeWaiters() }
        return arrived.removeFirst()
    }

    /// Resumes one task for each signal. A task that finds no signal waits again.
    private func wakeWaiters() {
        for waiter in waiters.prefix(arrived.count) { loop.settle(waiter, .ready) }
    }

    /// Called when the last copy of the sequence was released.
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

/// Ends a subscription when the last reference to this object is released, on any thread.
///
/// SAFETY: the subscription is used on the loop only.
final class SignalSubscriptionLifetime: @unchecked Sendable, CustomStringConvertible {
    private let loop: EventLoop
    private let subscription: SignalSubscription
    private let id: SlotID?

    init(_ loop: EventLoop, _ subscription: SignalSubscription) {
        self.loop = loop
        self.subscription = subscription
        id = subscription.id
    }

    deinit {
        if let id { loop.abandonSource(id) }
    }

    nonisolated(nonsending) func next() async -> Signal? {
        try? await loop.withAffinity { record in try await subscription.next(record) }
    }

    var description: String { subscription.signals.map(\.description).joined(separator: ", ") }
}
