import Synchronization

/// Errors of callbacks and protocols never stop the loop.
extension EventLoop {
    /// Handles an uncaught error of a loop. An error that the handler throws goes to the default handler.
    public typealias ExceptionHandler = (EventLoop, ExceptionContext) throws -> Void

    /// The handler of uncaught errors; `nil` means the default handler, which writes to standard error.
    /// asyncio: `get_exception_handler`, `set_exception_handler`.
    public final var exceptionHandler: ExceptionHandler? {
        get {
            requireOnLoop("exceptionHandler")
            return core.pointee.exceptionHandler
        }
        set {
            requireOnLoop("exceptionHandler")
            // Objects that the former handler captured may set this again when they are released.
            let former = core.pointee.exceptionHandler.take()
            core.pointee.exceptionHandler = newValue
            withExtendedLifetime(former) {}
        }
    }

    /// Reports an error to the exception handler: at once on the loop's thread, in the next iteration or at the close
    /// from another. asyncio: `call_exception_handler`.
    ///
    /// An error that the handler throws goes to the default handler, as does another thread's report to a closed loop.
    /// - Thread: any. Therefore the context is `sending`: its ``ExceptionContext/protocol`` must not be used elsewhere.
    ///   Errors that a protocol's own functions throw are reported with the protocol.
    public final func callExceptionHandler(_ context: sending ExceptionContext) { report(context) }

    /// The objects in the context belong to the loop.
    final func report(_ context: ExceptionContext) {
        // Not `isOnLoop`, because before the first run another thread may begin it at any moment.
        guard isRunningHere || isOwnedHere else { return reportLater(context) }
        core.pointee.unhandledErrors += 1
        guard let handler = core.pointee.exceptionHandler else { return defaultExceptionHandler(context) }
        do {
            try handler(self, context)
        } catch {
            defaultExceptionHandler(context)
            defaultExceptionHandler(ExceptionContext(message: "Unhandled error in exception handler", error: error))
        }
    }

    /// Writes the report to standard error, as one line, on any thread. asyncio: `default_exception_handler`.
    public final func defaultExceptionHandler(_ context: ExceptionContext) {
        writeToStandardError("asyncio: \(context)")
    }

    /// Reports the error when the handler can be called. Any thread.
    @inline(never) final func reportLater(_ context: ExceptionContext) {
        if post(LateReport(context, of: self)) { return }
        // The loop is closed.
        if isOwnedHere { report(context) } else { defaultExceptionHandler(context) }
    }

    /// Reports a call on a closed loop by a function that cannot throw, once per loop.
    final func reportUseAfterClose(_ function: StaticString) {
        if hasReportedUseAfterClose.exchange(true, ordering: .relaxed) { return }
        report(ExceptionContext(message: "\(function) was ignored", error: EventLoopError.closed))
    }

    @inline(__always)
    final func callReporting(_ site: @autoclosure () -> CallSite, _ body: () throws -> Void) {
        do {
            try body()
        } catch {
            report(ExceptionContext(message: "Exception in callback", error: error, callSite: site()))
        }
    }
}

/// A report on its way to the exception handler, from another thread or from a `deinit`.
///
/// SAFETY: objects in the context that are not `Sendable` belong to the loop's thread, and only that thread uses them.
private final class LateReport: LoopMessage, @unchecked Sendable {
    private let context: ExceptionContext
    /// So that the message does not retain the loop that it is queued on.
    private weak var loop: EventLoop?

    init(_ context: ExceptionContext, of loop: EventLoop) {
        self.context = context
        self.loop = loop
    }

    override func deliver(on loop: EventLoop) { loop.report(context) }

    /// This thread closes the loop, whose handler is still set, or the loop was released without a close.
    override func discard() {
        if let loop { loop.report(context) } else { writeToStandardError("asyncio: \(context)") }
    }
}
