import AsyncIOSystem
import SystemPackage

extension EventLoop {
    /// Calls `body` on the loop's thread after `signal` was delivered to the process. asyncio: `add_signal_handler`.
    ///
    /// Any loop on any thread may have a handler for a signal, one each; a second call replaces the first. For more than
    /// one, see ``signals(_:)``. Signals that come while one waits are one, as in POSIX. Nothing of Swift runs in the
    /// signal handler itself. A signal that was ignored is caught too. Throws an `IOError` for a signal that cannot be
    /// caught, `.closed`, `.wrongThread`. The loop's thread.
    public final func addSignalHandler(
        _ signal: Signal, fileID: StaticString = #fileID, line: UInt = #line, _ body: @escaping () throws -> Void
    ) throws {
        guard isOnLoop else { throw EventLoopError.wrongThread("addSignalHandler") }
        if isClosed { throw EventLoopError.closed }
        let site = CallSite(fileID: fileID, line: line)
        try withSignalSource { source throws(IOError) in try source.setHandler(signal, body, site) }
    }

    /// Ends the calls, and gives the signal its former disposition back when nobody wants it any more. Whether there
    /// was a handler. asyncio: `remove_signal_handler`. The loop's thread.
    @discardableResult
    public final func removeSignalHandler(_ signal: Signal) -> Bool {
        requireOnLoop("removeSignalHandler")
        guard let source = signalSource, source.removeHandler(signal) else { return false }
        removeUnusedSignalSource()
        return true
    }

    /// The source that `body` adds something to. Made if there is none, and gone again if `body` throws.
    final func withSignalSource(_ body: (SignalSource) throws(IOError) -> Void) throws(IOError) {
        defer { removeUnusedSignalSource() }
        if let existing = signalSource { return try body(existing) }
        // The loop's own descriptor, so that none has to be free.
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
