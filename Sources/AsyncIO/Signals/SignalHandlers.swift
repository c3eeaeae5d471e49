import AsyncIOSystem
import CAsyncIO
import Synchronization
import SystemPackage

extension EventLoop {
    /// Calls `body` on the loop's thread after `signal` was delivered to the process. asyncio: `add_signal_handler`.
    ///
    /// Any loop on any thread may have a handler for a signal, one each; a second call replaces the first. Signals that come
    /// while one waits are one, as in POSIX. Nothing of Swift runs in the signal handler itself. Throws an `IOError` for
    /// a signal that cannot be caught, `.closed`, `.wrongThread`. The loop's thread.
    public final func addSignalHandler(_ signal: Signal, _ body: @escaping () throws -> Void) throws {
        guard isOnLoop else { throw EventLoopError.wrongThread("addSignalHandler") }
        if isClosed { throw EventLoopError.closed }
        let source: SignalSource
        if let existing = core.pointee.signals {
            source = existing
        } else {
            do {
                source = SignalSource(loop: self, waker: try Waker())
                try watchInternally(source.waker.descriptor, source)
            } catch {
                throw IOError(error, operation: "watch signals")
            }
            core.pointee.signals = source
        }
        do {
            try source.add(signal, body)
        } catch {
            removeUnusedSignalSource()
            throw IOError(error, operation: "catch signal \(signal.rawValue)")
        }
    }

    /// Ends the calls, and gives the signal its former disposition back when no loop wants it any more. Whether there
    /// was a handler. asyncio: `remove_signal_handler`. The loop's thread.
    @discardableResult
    public final func removeSignalHandler(_ signal: Signal) -> Bool {
        requireOnLoop("removeSignalHandler")
        guard let source = core.pointee.signals, source.remove(signal) else { return false }
        removeUnusedSignalSource()
        return true
    }

    final func removeAllSignalHandlers() {
        guard let source = core.pointee.signals else { return }
        for signal in source.signals { _ = source.remove(signal) }
        removeUnusedSignalSource()
    }

    private final func removeUnusedSignalSource() {
        guard let source = core.pointee.signals, source.signals.isEmpty else { return }
        core.pointee.signals = nil
        source.stop()
        unwatchInternally(source.waker.descriptor, source)
    }
}

/// One loop's signal handlers. The trampoline wakes it; which signals came is told by their counters.
final class SignalSource: EventSource {
    private struct Handler {
        let call: () throws -> Void
        /// The signal's counter when it was handled last.
        var seen: UInt64
    }

    let waker: Waker
    private unowned let loop: EventLoop
    private var handlers: [Signal: Handler] = [:]
    private var wakerSlot: CInt

    init(loop: EventLoop, waker: Waker) {
        self.loop = loop
        self.waker = waker
        SignalRegistry.claim()
        wakerSlot = aio_signal_waker_add(waker.writeDescriptor.rawValue)
    }

    /// Of a loop that was dropped without being closed: a trampoline must not write to the next owner of the descriptor.
    deinit {
        stop()
        for signal in handlers.keys { SignalRegistry.release(signal) }
    }

    var signals: [Signal] { Array(handlers.keys) }

    func add(_ signal: Signal, _ body: @escaping () throws -> Void) throws(Errno) {
        guard wakerSlot >= 0 else { throw .resourceTemporarilyUnavailable }
        // Taken first: what comes from here on, and what waits for a handler that is replaced, is the new one's.
        let seen = handlers[signal]?.seen ?? aio_signal_count(signal.rawValue)
        if handlers[signal] == nil { try SignalRegistry.retain(signal) }
        handlers[signal] = Handler(call: body, seen: seen)
    }

    func remove(_ signal: Signal) -> Bool {
        guard handlers.removeValue(forKey: signal) != nil else { return false }
        SignalRegistry.release(signal)
        return true
    }

    /// No trampoline writes to the waker from here on.
    func stop() {
        if wakerSlot >= 0 { aio_signal_waker_remove(wakerSlot) }
        wakerSlot = -1
    }

    override func run() -> UnownedJob? {
        waker.drain()
        for signal in signals {
            let count = aio_signal_count(signal.rawValue)
            guard let handler = handlers[signal], handler.seen != count else { continue }
            handlers[signal]?.seen = count
            do {
                try handler.call()
            } catch {
                loop.callExceptionHandler(
                    ExceptionContext(message: "Exception in handler of signal \(signal.rawValue)", error: error))
            }
        }
        return nil
    }
}

/// Which signals the process catches, and for how many loops.
private enum SignalRegistry {
    private static let users = Mutex<[Signal: Int]>([:])

    /// A forked child begins anew: the handlers are its parent's.
    static func claim() {
        users.withLock { users in
            if aio_signals_claim() { users = [:] }
        }
    }

    static func retain(_ signal: Signal) throws(Errno) {
        let result = users.withLock { users -> CInt in
            if users[signal, default: 0] == 0 {
                let result = aio_signal_catch(signal.rawValue)
                if result < 0 { return result }
            }
            users[signal, default: 0] += 1
            return 0
        }
        if result < 0 { throw Errno(rawValue: -result) }
    }

    static func release(_ signal: Signal) {
        users.withLock { users in
            users[signal, default: 1] -= 1
            guard users[signal] == 0 else { return }
            users[signal] = nil
            _ = aio_signal_restore(signal.rawValue)
        }
    }
}
