/// What a connection's bytes and events are told to: the push style. asyncio: `Protocol`.
///
/// A plain class, not `Sendable`: all its methods are called on the loop's thread. `connectionMade` comes first,
/// `connectionLost` exactly once and last. An error that one of them throws goes to the loop's exception handler and aborts
/// this connection only.
///
/// ```swift
/// final class Echo: StreamProtocol {
///     var transport: StreamTransport?
///     func connectionMade(_ transport: StreamTransport) { self.transport = transport }
///     func dataReceived(_ data: RawSpan) { transport?.write(data) }
///     func connectionLost(_ error: (any Error)?) { transport = nil }
/// }
/// ```
public protocol StreamProtocol: AnyObject {
    /// The connection is there. Data comes from the next tick on.
    func connectionMade(_ transport: StreamTransport) throws

    /// Bytes have come. The span is lent for the time of the call.
    func dataReceived(_ data: RawSpan) throws

    /// The peer sends no more. Return true to go on writing; otherwise the transport closes itself.
    func eofReceived() throws -> Bool

    /// The connection is gone: `nil` after a `close()`, an `abort()` or an end; else the reason.
    func connectionLost(_ error: (any Error)?) throws

    /// More than the high-water mark of bytes waits to be sent: stop writing for now.
    func pauseWriting() throws

    /// The bytes that wait are down to the low-water mark: go on.
    func resumeWriting() throws
}

extension StreamProtocol {
    public func connectionMade(_ transport: StreamTransport) {}
    public func eofReceived() -> Bool { false }
    public func connectionLost(_ error: (any Error)?) {}
    public func pauseWriting() {}
    public func resumeWriting() {}
}
