/// A report of what nobody has read, from a `deinit` on any thread, on its way to the exception handler.
final class LateReport: LoopMessage, @unchecked Sendable {
    private let context: ExceptionContext
    /// Weak: a message does not keep the loop that it waits for.
    private weak var loop: EventLoop?

    init(_ context: ExceptionContext, of loop: EventLoop) {
        self.context = context
        self.loop = loop
    }

    override func deliver(on loop: EventLoop) {
        loop.callExceptionHandler(context)
    }

    /// The loop is being closed, by this thread, and its handler still there; or it is closed or gone.
    override func discard() {
        if let loop { loop.callExceptionHandler(context) } else { context.writeToStandardError() }
    }
}

extension EventLoop {
    /// Queues `message`. Any thread, also from a `deinit`.
    ///
    /// - Returns: false if the loop is closed; the message was then released.
    final func post(_ message: LoopMessage) -> Bool {
        let word = LoopWord(message)
        if isRunningHere, !isClosed {
            core.pointee.ready.push(word)
            return true
        }
        if inbox.post(word) { return true }
        _ = word.takeMessage()
        return false
    }
}
