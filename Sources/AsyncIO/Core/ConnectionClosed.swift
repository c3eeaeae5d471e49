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
    /// True are the codes `.connectionClosed` (by this side) and `.connectionBroken` of an ``EventLoopError``, and an
    /// ``IOError`` such as EPIPE, ECONNRESET and ETIMEDOUT.
    ///
    /// False are an attempt to connect that failed; an ``IncompleteReadError`` and `.incompleteWrite`, because a part
    /// of a message is missing; and `CancellationError`.
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
