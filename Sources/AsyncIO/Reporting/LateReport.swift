/// A report on its way to the exception handler, from another thread or from a `deinit`.
///
/// SAFETY: what is not `Sendable` in a context belongs to the loop's thread, which alone uses it.
private final class LateReport: LoopMessage, @unchecked Sendable {
    private let context: ExceptionContext
    /// Weak: a message does not keep the loop that it waits for.
    private weak var loop: EventLoop?

    init(_ context: ExceptionContext, of loop: EventLoop) {
        self.context = context
        self.loop = loop
    }

    override func deliver(on loop: EventLoop) {
        loop.report(context)
    }

    /// The loop is being closed, by this thread, and its handler still there; or it was dropped without a close.
    override func discard() {
        if let loop { loop.report(context) } else { context.writeToStandardError() }
    }
}

extension EventLoop {
    /// Reports when the handler can be called: any thread, at any moment.
    @inline(never)
    final func reportLater(_ context: ExceptionContext) {
        if post(LateReport(context, of: self)) { return }
        // The loop is closed.
        if isOwnedHere { report(context) } else { context.writeToStandardError() }
    }
}
