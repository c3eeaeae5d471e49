import AsyncIOSystem

extension EventLoop {
    /// Returns a sequence of those `signals` that are delivered to the process from now on. asyncio has no such call.
    ///
    /// ```swift
    /// for await signal in try loop.signals([.hangup, .terminate]) {
    ///     if signal == .terminate { break }
    ///     try readConfiguration()
    /// }
    /// ```
    ///
    /// There may be any number of sequences, on any loops, and handlers of ``addSignalHandler(_:fileID:line:_:)``
    /// besides: each receives every signal. A signal that is delivered again before the sequence returned it is merged
    /// with the first, as in POSIX. Different signals are returned in the order in which the loop noticed them. The
    /// former dispositions are restored soon after the last copy of the sequence was released, on any thread.
    ///
    /// The sequence ends without an error when the task is cancelled and when the loop is closed. Any task may iterate,
    /// and hops to the loop for each signal. If several do so at the same time, each signal goes to one of them.
    ///
    /// Throws an `IOError` for a signal that cannot be caught, and then catches none; `.invalidArgument` for an empty
    /// set; `.closed`, `.wrongThread`.
    public final func signals(_ signals: Set<Signal>) throws -> sending LoopSequence<Signal, Never> {
        guard isOnLoop else { throw EventLoopError.wrongThread("signals") }
        if isClosed { throw EventLoopError.closed }
        if signals.isEmpty { throw EventLoopError(.invalidArgument, "signals(_:) needs at least one signal") }
        let subscription = SignalSubscription(loop: self, signals: signals)
        try withSignalSource { source throws(IOError) in try source.add(subscription) }
        register(subscription)
        return LoopSequence(of: SignalSubscriptionLifetime(self, subscription)) {
            await unsafeDowncast($0, to: SignalSubscriptionLifetime.self).next()
        }
    }
}

/// Ends a subscription when the last reference to this object is released, on any thread.
/// SAFETY: the subscription is used on the loop only.
private final class SignalSubscriptionLifetime: @unchecked Sendable, CustomStringConvertible {
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
