import CAsyncIO
import Synchronization

/// Handling of uncaught errors. Errors of callbacks and protocols never stop the loop.
extension EventLoop {
    /// Handles an uncaught error of a loop. An error that the handler throws goes to the default handler.
    public typealias ExceptionHandler = (EventLoop, ExceptionContext) throws -> Void

    /// The handler of uncaught errors; `nil` means the default handler, which writes to standard error.
    /// asyncio: `get_exception_handler`, `set_exception_handler`.
    ///
    /// - Thread: the loop's.
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

    /// Reports an error to the exception handler: at once on the loop's thread, in the next iteration from another
    /// thread. asyncio: `call_exception_handler`.
    ///
    /// An error that the handler throws goes to the default handler. If the loop is closed before its next iteration,
    /// the close calls the handler. A report from another thread to a closed loop goes to the default handler.
    ///
    /// - Thread: any. Therefore the context is `sending`: its ``ExceptionContext/protocol`` must not be used elsewhere.
    ///   Errors that a protocol's own functions throw are reported with the protocol.
    public final func callExceptionHandler(_ context: sending ExceptionContext) {
        report(context)
    }

    /// Reports an error of the library to the exception handler. The objects in the context belong to the loop.
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

    /// Writes the report to standard error, as one line. asyncio: `default_exception_handler`.
    ///
    /// - Thread: any.
    public final func defaultExceptionHandler(_ context: ExceptionContext) {
        context.writeToStandardError()
    }

    /// Reports a call on a closed loop by a function that cannot throw, once per loop.
    final func reportUseAfterClose(_ function: StaticString) {
        if hasReportedUseAfterClose.exchange(true, ordering: .relaxed) { return }
        report(
            ExceptionContext(message: "\(function) was ignored", error: EventLoopError.closed))
    }

    /// Calls `body`, and reports the error that it throws.
    @inline(__always)
    final func callReporting(_ site: @autoclosure () -> CallSite, _ body: () throws -> Void) {
        do {
            try body()
        } catch {
            report(ExceptionContext(message: "Exception in callback", error: error, callSite: site()))
        }
    }
}

extension ExceptionContext {
    func writeToStandardError() {
        // If standard error cannot be written to, there is nowhere to report that, and no reason to end.
        var text = "asyncio: \(self)\n"
        text.withUTF8 { aio_write_error($0.baseAddress!, $0.count) }
    }
}
