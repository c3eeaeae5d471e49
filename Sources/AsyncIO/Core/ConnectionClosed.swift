import AsyncIOSystem
import SystemPackage

extension Error {
    /// Whether the error only says that a connection has ended: by this side, by the other side, or by the network.
    ///
    /// ```swift
    /// do {
    ///     for try await line in reader.lines { try await answer(line, writer) }
    /// } catch where error.isConnectionClosed {
    ///     // Nothing to report.
    /// }
    /// ```
    ///
    /// True are the code `.connectionClosed` of an ``EventLoopError``, for a connection that this side has closed; its
    /// code `.connectionBroken`; and an ``IOError`` that says so, such as EPIPE, ECONNRESET and ETIMEDOUT.
    ///
    /// False are an attempt to connect that failed, because there was no connection; an ``IncompleteReadError``,
    /// because a part of a message is missing; `.incompleteWrite`, because a part of a message was sent; and
    /// `CancellationError`.
    public var isConnectionClosed: Bool {
        switch self {
        case let error as EventLoopError: error.code == .connectionClosed || error.code == .connectionBroken
        case let error as IOError: error.endsConnection
        default: false
        }
    }
}

extension IOError {
    fileprivate var endsConnection: Bool {
        switch errno {
        case .brokenPipe, .connectionReset, .connectionAbort, .socketNotConnected, .socketShutdown, .timedOut,
            .networkDown, .networkUnreachable, .networkReset, .hostIsDown, .noRouteToHost:
            !operation.hasPrefix("connect")
        default: false
        }
    }
}
