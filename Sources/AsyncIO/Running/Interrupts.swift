import AsyncIOSystem
import CAsyncIO
import SystemPackage

/// Ctrl-C during one run on the main thread: the first cancels the main task, the second ends the process.
///
/// Only if nobody else wants the signal: not where it is ignored, or has a handler already. A handler that is added to a
/// loop meanwhile gets it instead.
struct InterruptWatch: ~Copyable {
    private let loop: EventLoop
    private let source: InterruptSource

    /// Begins, within the loop's run. `nil` off the main thread, and where somebody else wants the signal.
    static func begin(on loop: EventLoop, cancel: @escaping () -> Bool) throws(Errno) -> InterruptWatch? {
        guard aio_is_main_thread(), let waker = loop.inbox.waker else { return nil }
        let source = InterruptSource(waker: waker, cancel: cancel)
        let result = SignalRegistry.change { aio_interrupt_catch(waker.writeDescriptor.rawValue) }
        if result < 0 { throw Errno(rawValue: -result) }
        if result == 0 { return nil }
        loop.core.pointee.interrupt = source
        return InterruptWatch(loop: loop, source: source)
    }

    /// Ends, after the loop's run, and restores what the signal did before.
    consuming func end() -> Outcome {
        let count = SignalRegistry.change { aio_interrupt_release() }
        loop.core.pointee.interrupt = nil
        if source.hasCancelled { return .cancelledTask }
        return count > 0 ? .cameTooLate : .none
    }

    enum Outcome {
        case none
        /// The main task was asked to end.
        case cancelledTask
        /// The main task had ended before it could be asked.
        case cameTooLate
    }
}

/// Cancels the main task after the first Ctrl-C. The signal's handler wakes the loop by the loop's own waker.
final class InterruptSource: WakeUpObserver {
    /// Held for the handler, which writes to its descriptor until the watch ends.
    private let waker: Waker
    private let cancel: () -> Bool
    private var hasSeen = false
    private(set) var hasCancelled = false

    init(waker: Waker, cancel: @escaping () -> Bool) {
        self.waker = waker
        self.cancel = cancel
    }

    /// The loop has been woken, perhaps by the signal.
    override func check() {
        if hasSeen || aio_interrupt_count() == 0 { return }
        hasSeen = true
        // Not if the main task has ended in this very tick.
        if cancel() { hasCancelled = true }
    }
}
