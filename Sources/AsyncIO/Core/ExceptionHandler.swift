import CAsyncIO

/// What is known of an error that nobody caught. asyncio: the `context` of `call_exception_handler`.
public struct ExceptionContext {
    /// What was going on, in words.
    public var message: String
    public var error: (any Error)?
    /// Where the callback was scheduled.
    public var callSite: CallSite?
    public var transport: StreamTransport?

    public init(
        message: String, error: (any Error)? = nil, callSite: CallSite? = nil, transport: StreamTransport? = nil
    ) {
        self.message = message
        self.error = error
        self.callSite = callSite
        self.transport = transport
    }
}

extension ExceptionContext: CustomStringConvertible {
    public var description: String {
        var text = message
        // An I/O error names its address itself.
        if let peer = transport?.peerAddress, !(error is IOError) { text += " (connection with \(peer))" }
        if let error { text += ": \(error)" }
        if let callSite { text += " (scheduled at \(callSite))" }
        return text
    }
}

/// Errors of callbacks and protocols end up here and never end the loop.
extension EventLoop {
    public typealias ExceptionHandler = (EventLoop, ExceptionContext) throws -> Void

    /// Replaces the handler of uncaught errors; `nil` restores the default one, which writes to standard error.
    /// The loop's thread.
    public final func setExceptionHandler(_ handler: ExceptionHandler?) {
        requireOnLoop("setExceptionHandler")
        core.pointee.exceptionHandler = handler
    }

    /// Reports an error to the handler. An error in the handler goes to the default one. The loop's thread.
    public final func callExceptionHandler(_ context: ExceptionContext) {
        core.pointee.unhandledErrors += 1
        guard let handler = core.pointee.exceptionHandler else { return defaultExceptionHandler(context) }
        do {
            try handler(self, context)
        } catch {
            defaultExceptionHandler(context)
            defaultExceptionHandler(ExceptionContext(message: "Unhandled error in exception handler", error: error))
        }
    }

    /// Writes the report to standard error, in one line.
    public final func defaultExceptionHandler(_ context: ExceptionContext) {
        // A standard error that cannot be written to leaves nobody to tell, and is no reason to end.
        var text = "asyncio: \(context)\n"
        text.withUTF8 { aio_write_error($0.baseAddress!, $0.count) }
    }

    /// Calls `body`; reports what it throws.
    @inline(__always)
    final func callReporting(_ site: @autoclosure () -> CallSite, _ body: () throws -> Void) {
        do {
            try body()
        } catch {
            callExceptionHandler(ExceptionContext(message: "Exception in callback", error: error, callSite: site()))
        }
    }
}
