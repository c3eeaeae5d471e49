import AsyncIOSystem
import CAsyncIO
import SystemPackage

/// Ctrl-C during one run on the main thread: the first one cancels the main task, the second one ends the process.
///
/// It applies only if SIGINT is not used otherwise: not if the signal is ignored or already has a handler. A handler
/// that is added to a loop during the run gets the signal instead.
struct InterruptWatch: ~Copyable {
    private let loop: EventLoop
    private let source: InterruptSource

    /// Begins the watch, within the loop's run. Returns `nil` off the main thread, and if SIGINT is used otherwise.
    static func begin(on loop: EventLoop, cancel: @escaping () -> Bool) throws(Errno) -> InterruptWatch? {
        guard aio_is_main_thread(), let waker = loop.inbox.waker else { return nil }
        let source = InterruptSource(waker: waker, cancel: cancel)
        let result = SignalRegistry.change { aio_interrupt_catch(waker.writeDescriptor.rawValue) }
        if result < 0 { throw Errno(rawValue: -result) }
        if result == 0 { return nil }
        loop.core.pointee.interrupt = source
        return InterruptWatch(loop: loop, source: source)
    }

    /// Ends the watch, after the loop's run, and restores the former disposition of the signal.
    consuming func end() -> Outcome {
        let count = SignalRegistry.change { aio_interrupt_release() }
        loop.core.pointee.interrupt = nil
        if source.hasCancelled { return .cancelledTask }
        return count > 0 ? .cameTooLate : .none
    }

    enum Outcome {
        case none
        /// The main task was cancelled.
        case cancelledTask
        /// The main task had ended before it could be cancelled.
        case cameTooLate
    }
}

/// Cancels the main task after the first Ctrl-C. The signal handler wakes the loop through the loop's waker.
final class InterruptSource: WakeUpObserver {
    /// Retained for the signal handler, which writes to the waker's descriptor until the watch ends.
    private let waker: Waker
    private let cancel: () -> Bool
    private var hasSeen = false
    private(set) var hasCancelled = false

    init(waker: Waker, cancel: @escaping () -> Bool) {
        self.waker = waker
        self.cancel = cancel
    }

    /// Called after the loop has been woken, possibly by the signal.
    override func check() {
        if hasSeen || aio_interrupt_count() == 0 { return }
        hasSeen = true
        // Not if the main task has ended in this iteration.
        if cancel() { hasCancelled = true }
    }
}
