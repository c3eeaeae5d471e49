import CAsyncIO
import Synchronization

/// Errors of callbacks and protocols end up here and never end the loop.
extension EventLoop {
    public typealias ExceptionHandler = (EventLoop, ExceptionContext) throws -> Void

    /// The handler of errors that no one catches; `nil` means the default handler, which writes to standard error.
    /// asyncio: `get_exception_handler`, `set_exception_handler`.
    /// - Thread: the loop's.
    public final var exceptionHandler: ExceptionHandler? {
        get {
            requireOnLoop("exceptionHandler")
            return core.pointee.exceptionHandler
        }
        set {
            requireOnLoop("exceptionHandler")
            // What the former one captured may set this again when it is released.
            let former = core.pointee.exceptionHandler.take()
            core.pointee.exceptionHandler = newValue
            withExtendedLifetime(former) {}
        }
    }

    /// Reports an error to the exception handler: at once on the loop's thread, in its next iteration from another thread.
    /// asyncio: `call_exception_handler`.
    ///
    /// An error that the handler throws goes to the default handler. If the loop is closed before its next iteration, the close
    /// calls the handler. A report from another thread to a closed loop goes to the default handler.
    ///
    /// - Thread: any. Hence the context is `sending`: its ``ExceptionContext/protocol`` must not be in use elsewhere. What a
    ///   protocol's own functions throw is reported with the protocol.
    public final func callExceptionHandler(_ context: sending ExceptionContext) {
        report(context)
    }

    /// Reports an error to the exception handler. For the library: what the context names belongs to the loop.
    final func report(_ context: ExceptionContext) {
        // Not `isOnLoop`: before the first run, another thread may begin it at any moment.
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

    /// Writes the report to standard error, in one line. Any thread. asyncio: `default_exception_handler`.
    public final func defaultExceptionHandler(_ context: ExceptionContext) {
        context.writeToStandardError()
    }

    /// Reports what was called on a closed loop and cannot throw. Once per loop.
    final func reportUseAfterClose(_ function: StaticString) {
        if hasReportedUseAfterClose.exchange(true, ordering: .relaxed) { return }
        report(
            ExceptionContext(message: "\(function) on a closed event loop", error: EventLoopError.closed))
    }

    /// Calls `body`; reports what it throws.
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
        // A standard error that cannot be written to leaves nobody to tell, and is no reason to end.
        var text = "asyncio: \(self)\n"
        text.withUTF8 { aio_write_error($0.baseAddress!, $0.count) }
    }
}
