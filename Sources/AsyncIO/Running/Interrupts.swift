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
        guard aio_is_main_thread() else { return nil }
        let source = InterruptSource(waker: try Waker(), cancel: cancel)
        try loop.watchInternally(source.waker.descriptor, source)
        let result = SignalRegistry.change { aio_interrupt_catch(source.waker.writeDescriptor.rawValue) }
        if result > 0 { return InterruptWatch(loop: loop, source: source) }
        loop.unwatchInternally(source.waker.descriptor, source)
        if result < 0 { throw Errno(rawValue: -result) }
        return nil
    }

    /// Ends, after the loop's run, and gives the signal its disposition back.
    consuming func end() -> Outcome {
        let count = SignalRegistry.change { aio_interrupt_release() }
        loop.unwatchInternally(source.waker.descriptor, source)
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

private final class InterruptSource: EventSource {
    let waker: Waker
    private let cancel: () -> Bool
    private(set) var hasCancelled = false

    init(waker: Waker, cancel: @escaping () -> Bool) {
        self.waker = waker
        self.cancel = cancel
    }

    override func run() -> UnownedJob? {
        waker.drain()
        // Not if the main task has ended in this very tick.
        if cancel() { hasCancelled = true }
        return nil
    }
}
