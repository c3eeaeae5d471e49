import AsyncIOSystem
import CAsyncIO
import SystemPackage

/// Ctrl-C during one run on the main thread: the first one cancels the main task, the second one ends the process. It
/// has no effect if the signal is ignored or has another handler, before the run or from a loop during the run.
final class InterruptWatch: WakeUpObserver {
    private let loop: EventLoop
    /// Retained for the signal handler, which writes to the waker's descriptor until the watch ends.
    private let waker: Waker
    private let cancel: () -> Bool
    private var hasCancelled = false

    /// Begins the watch, within the loop's run. Returns `nil` off the main thread, and if SIGINT is used otherwise.
    /// `cancel` cancels the main task, and returns false if that has ended.
    init?(on loop: EventLoop, cancel: @escaping () -> Bool) throws(Errno) {
        guard aio_is_main_thread(), let waker = loop.inbox.waker else { return nil }
        let result = SignalRegistry.change { aio_interrupt_catch(waker.writeDescriptor.rawValue) }
        if result < 0 { throw Errno(rawValue: -result) }
        if result == 0 { return nil }
        self.loop = loop
        self.waker = waker
        self.cancel = cancel
        super.init()
        loop.core.pointee.interrupt = self
    }

    override func check() { if !hasCancelled, aio_interrupt_count() > 0 { hasCancelled = cancel() } }

    /// Ends the watch after the loop's run, which threw `error`, and restores the former disposition of the signal.
    /// Returns whether Ctrl-C ended the main task, or came after the task had ended.
    func end(_ error: (any Error)?) -> Bool {
        let count = SignalRegistry.change { aio_interrupt_release() }
        loop.core.pointee.interrupt = nil
        return hasCancelled ? error is CancellationError : count > 0
    }
}
