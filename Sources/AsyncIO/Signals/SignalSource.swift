import AsyncIOSystem
import CAsyncIO
import SystemPackage

/// The signal handlers and subscriptions of one loop, whose signals are in the registry. The trampoline wakes the loop
/// by its waker; the counters of the signals show which were delivered.
final class SignalSource: WakeUpObserver {
    private struct Handler {
        let call: () throws -> Void
        let site: CallSite
        /// The value of the signal's counter when the handler was last called.
        var seen: UInt64
    }

    /// Retained for the trampoline, which writes to its descriptor until `stop()`.
    private let waker: Waker
    private unowned let loop: EventLoop
    private var handlers: [Signal: Handler] = [:]
    private var subscriptions: [SignalSubscription] = []
    /// `nil` after `stop()`, or if there was no memory for a slot.
    private var wakerSlot: OpaquePointer?

    init(loop: EventLoop, waker: Waker) {
        self.loop = loop
        self.waker = waker
        super.init()
        SignalRegistry.claim()
        wakerSlot = aio_signal_waker_add(waker.writeDescriptor.rawValue)
    }

    /// For a loop that was released without `close()`: a later descriptor may get the number of the waker.
    deinit {
        stop()
        removeAll()
    }

    var isUnused: Bool { handlers.isEmpty && subscriptions.isEmpty }

    private func isWanted(_ signal: Signal) -> Bool {
        handlers[signal] != nil || subscriptions.contains { $0.signals.contains(signal) }
    }

    // MARK: The handler of a signal

    func setHandler(_ signal: Signal, _ body: @escaping () throws -> Void, _ site: CallSite) throws(IOError) {
        // Read first: the new handler gets signals that are delivered from here on, and those that its predecessor has
        // not handled.
        let seen = handlers[signal]?.seen ?? aio_signal_count(signal.rawValue)
        try retain(signal)
        let former = handlers.updateValue(Handler(call: body, site: site, seen: seen), forKey: signal)
        withExtendedLifetime(former) {}
    }

    func removeHandler(_ signal: Signal) -> Bool {
        guard let former = handlers.removeValue(forKey: signal) else { return false }
        release(signal)
        // Released last, because objects that it captured may use the loop in their deinit.
        withExtendedLifetime(former) {}
        return true
    }

    // MARK: Subscriptions

    /// Adds `subscription`. Catches all of its signals, or throws and catches none.
    func add(_ subscription: SignalSubscription) throws(IOError) {
        subscription.skipEarlierSignals()
        var retained: [Signal] = []
        for signal in subscription.signals {
            do {
                try retain(signal)
                retained.append(signal)
            } catch {
                for signal in retained { release(signal) }
                throw error
            }
        }
        subscriptions.append(subscription)
    }

    func remove(_ subscription: SignalSubscription) {
        guard let index = subscriptions.firstIndex(where: { $0 === subscription }) else { return }
        subscriptions.remove(at: index)
        for signal in subscription.signals { release(signal) }
    }

    func removeAll() {
        for subscription in subscriptions { remove(subscription) }
        for signal in handlers.keys { _ = removeHandler(signal) }
    }

    private func retain(_ signal: Signal) throws(IOError) {
        do throws(Errno) {
            guard wakerSlot != nil else { throw .noMemory }
            if !isWanted(signal) { try SignalRegistry.retain(signal) }
        } catch {
            throw IOError(error, operation: "catch \(signal)")
        }
    }

    private func release(_ signal: Signal) {
        if !isWanted(signal) { SignalRegistry.release(signal) }
    }

    /// On return the trampoline does not write to the waker any more.
    func stop() {
        if let slot = wakerSlot.take() { aio_signal_waker_remove(slot) }
    }

    // MARK: Wake-ups

    override var label: String { "the signal handlers" }

    override var origin: CallSite? { handlers.count == 1 ? handlers.first?.value.site : nil }

    /// Calls the handlers of signals that were delivered. Called when the loop was woken.
    override func check() {
        for subscription in subscriptions { subscription.collectSignals() }
        for signal in handlers.keys.sorted(by: { $0.rawValue < $1.rawValue }) {
            let count = aio_signal_count(signal.rawValue)
            // A handler that was called before may have removed this one.
            guard let handler = handlers[signal], handler.seen != count else { continue }
            handlers[signal]?.seen = count
            do {
                try handler.call()
            } catch {
                let message = "Exception in handler of \(signal)"
                loop.report(ExceptionContext(message: message, error: error, callSite: handler.site))
            }
        }
    }
}

extension EventLoop {
    final var signalSource: SignalSource? { core.pointee.signals.map { unsafeDowncast($0, to: SignalSource.self) } }
}

/// The signals that the process catches, and for how many loops each. Any thread.
enum SignalRegistry {
    private static let users = Locked<[Signal: Int]>([:])

    /// Calls `body`, which changes dispositions, while no loop changes them.
    static func change<Result>(_ body: () -> Result) -> Result {
        users.withLock { _ in body() }
    }

    /// Empties the registry in a forked child, whose handlers are those of its parent.
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
