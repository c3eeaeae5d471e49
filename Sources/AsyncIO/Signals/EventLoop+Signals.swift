import AsyncIOSystem
import SystemPackage

extension EventLoop {
    /// Calls `body` on the loop's thread after `signal` was delivered to the process. asyncio: `add_signal_handler`.
    ///
    /// A second call replaces the loop's handler. Other loops may have handlers for the same signal; for several
    /// receivers in a loop see ``signals(_:)``. A signal that is delivered again before its handler was called is
    /// merged with the first, as in POSIX. No Swift code runs in the signal handler of the process. An ignored signal
    /// is caught too. Throws an `IOError` for a signal that cannot be caught, `.closed`, `.wrongThread`.
    public final func addSignalHandler(
        _ signal: Signal, fileID: StaticString = #fileID, line: UInt = #line, _ body: @escaping () throws -> Void
    ) throws {
        guard isOnLoop else { throw EventLoopError.wrongThread("addSignalHandler") }
        if isClosed { throw EventLoopError.closed }
        let site = CallSite(fileID: fileID, line: line)
        try withSignalSource { source throws(IOError) in try source.setHandler(signal, body, site) }
    }

    /// Removes the handler of `signal`, and returns whether there was one. asyncio: `remove_signal_handler`.
    ///
    /// The former disposition of the signal is restored when no handler and no sequence of any loop uses it.
    @discardableResult public final func removeSignalHandler(_ signal: Signal) -> Bool {
        requireOnLoop("removeSignalHandler")
        guard let source = signalSource, source.removeHandler(signal) else { return false }
        removeUnusedSignalSource()
        return true
    }

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

    /// Calls `body`, which adds a handler or a subscription, with the loop's source of signals. Creates the source if
    /// there is none, and removes it if `body` throws.
    final func withSignalSource(_ body: (SignalSource) throws(IOError) -> Void) throws(IOError) {
        defer { removeUnusedSignalSource() }
        if let existing = signalSource { return try body(existing) }
        // The loop's waker, so that no further descriptor is needed.
        guard let waker = inbox.waker else { return }
        let source = SignalSource(loop: self, waker: waker)
        core.pointee.signals = source
        try body(source)
    }

    final func removeAllSignalHandlers() {
        signalSource?.removeAll()
        removeUnusedSignalSource()
    }

    final func removeUnusedSignalSource() {
        guard let source = signalSource, source.isUnused else { return }
        core.pointee.signals = nil
        source.stop()
    }
}
