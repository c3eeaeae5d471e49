/// A report on its way to the exception handler, from another thread or from a `deinit`.
///
/// SAFETY: objects in the context that are not `Sendable` belong to the loop's thread, and only that thread uses them.
private final class LateReport: LoopMessage, @unchecked Sendable {
    private let context: ExceptionContext
    /// Weak, so that the message does not retain the loop that it is queued on.
    private weak var loop: EventLoop?

    init(_ context: ExceptionContext, of loop: EventLoop) {
        self.context = context
        self.loop = loop
    }

    override func deliver(on loop: EventLoop) {
        loop.report(context)
    }

    /// Called when this thread closes the loop, whose handler is still set, or when the loop was released without a
    /// close.
    override func discard() {
        if let loop { loop.report(context) } else { context.writeToStandardError() }
    }
}

extension EventLoop {
    /// Reports the error when the handler can be called.
    ///
    /// - Thread: any.
    @inline(never)
    final func reportLater(_ context: ExceptionContext) {
        if post(LateReport(context, of: self)) { return }
        // The loop is closed.
        if isOwnedHere { report(context) } else { context.writeToStandardError() }
    }
}
