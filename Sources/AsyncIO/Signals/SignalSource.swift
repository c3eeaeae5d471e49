import AsyncIOSystem
import CAsyncIO
import SystemPackage

/// What one loop does about signals. The trampoline wakes it by the loop's own waker; which signals came, their counters say.
///
/// A signal is kept in the registry from its first user here to its last: the handler, and the subscriptions.
final class SignalSource: WakeUpObserver {
    private struct Handler {
        let call: () throws -> Void
        let site: CallSite
        /// The signal's counter when it was handled last.
        var seen: UInt64
    }

    /// Held for the trampoline, which writes to its descriptor until `stop()`.
    private let waker: Waker
    private unowned let loop: EventLoop
    private var handlers: [Signal: Handler] = [:]
    private var subscriptions: [SignalSubscription] = []
    /// `nil` after the end, or if there was no memory for one.
    private var wakerSlot: OpaquePointer?

    init(loop: EventLoop, waker: Waker) {
        self.loop = loop
        self.waker = waker
        super.init()
        SignalRegistry.claim()
        wakerSlot = aio_signal_waker_add(waker.writeDescriptor.rawValue)
    }

    /// Of a loop that was dropped without being closed: a trampoline must not write to the next owner of the descriptor.
    deinit {
        stop()
        removeAll()
    }

    var isUnused: Bool { handlers.isEmpty && subscriptions.isEmpty }

    private func isWanted(_ signal: Signal) -> Bool {
        handlers[signal] != nil || subscriptions.contains { $0.signals.contains(signal) }
    }

    // MARK: The handler of a signal

    func setHandler(
        _ signal: Signal, _ body: @escaping () throws -> Void, _ site: CallSite
    ) throws(IOError) {
        // Taken first: what comes from here on, and what waits for a handler that is replaced, is the new one's.
        let seen = handlers[signal]?.seen ?? aio_signal_count(signal.rawValue)
        try retain(signal)
        let former = handlers.updateValue(Handler(call: body, site: site, seen: seen), forKey: signal)
        // As in `removeHandler`.
        withExtendedLifetime(former) {}
    }

    func removeHandler(_ signal: Signal) -> Bool {
        guard let former = handlers.removeValue(forKey: signal) else { return false }
        release(signal)
        // What it captured may use the loop when it is freed: only now, when all is done here.
        withExtendedLifetime(former) {}
        return true
    }

    // MARK: Subscriptions

    /// All of its signals are caught, or none.
    func add(_ subscription: SignalSubscription) throws(IOError) {
        subscription.lookAway()
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

    // MARK: The process

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

    /// No trampoline writes to the waker from here on.
    func stop() {
        if let slot = wakerSlot.take() { aio_signal_waker_remove(slot) }
    }

    // MARK: Its turn

    override var label: String { "the signal handlers" }

    override var origin: CallSite? { handlers.count == 1 ? handlers.first?.value.site : nil }

    /// Calls the handlers of the signals that came. The loop has been woken.
    override func check() {
        for subscription in subscriptions { subscription.look() }
        for signal in handlers.keys.sorted(by: { $0.rawValue < $1.rawValue }) {
            let count = aio_signal_count(signal.rawValue)
            // One of them may have removed it.
            guard let handler = handlers[signal], handler.seen != count else { continue }
            handlers[signal]?.seen = count
            do {
                try handler.call()
            } catch {
                loop.report(
                    ExceptionContext(
                        message: "Exception in handler of \(signal)", error: error,
                        callSite: handler.site))
            }
        }
    }
}

extension EventLoop {
    /// The source of the loop's signals, while there are handlers or subscriptions.
    final var signalSource: SignalSource? { core.pointee.signals.map { unsafeDowncast($0, to: SignalSource.self) } }
}
