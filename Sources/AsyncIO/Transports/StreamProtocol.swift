/// What a connection's bytes and events are told to: the push style. asyncio: `Protocol`.
///
/// A plain class, not `Sendable`: all its methods are called on the loop's thread. `connectionMade` comes first,
/// `connectionLost` exactly once and last. An error that one of them throws goes to the loop's exception handler and
/// aborts this connection only.
///
/// ```swift
/// final class Echo: StreamProtocol {
///     var transport: StreamTransport?
///     func connectionMade(_ transport: StreamTransport) { self.transport = transport }
///     func dataReceived(_ data: RawSpan) { transport?.write(data) }
///     func connectionLost(_ error: (any Error)?) { transport = nil }
/// }
/// ```
///
/// `connectionMade`, `dataReceived` and `connectionLost` have no default implementation: the compiler refuses a class
/// that misspells one of them, declares it `async` or gives it other parameters. The other methods have one, so a
/// misspelt `eofReceived`, `pauseWriting` or `resumeWriting` compiles and is never called.
public protocol StreamProtocol: AnyObject {
    /// The connection is there. Data comes from the next tick on. Required.
    func connectionMade(_ transport: StreamTransport) throws

    /// Bytes have come. The span is lent for the time of the call. Required.
    func dataReceived(_ data: RawSpan) throws

    /// The peer sends no more. Return true to go on writing; otherwise the transport closes itself.
    ///
    /// The default implementation returns false. A method with another name or signature compiles and is never called.
    func eofReceived() throws -> Bool

    /// The connection is gone: `nil` after a `close()`, an `abort()` or an end; else the reason. Required.
    func connectionLost(_ error: (any Error)?) throws

    /// More than the high-water mark of bytes waits to be sent: stop writing for now.
    ///
    /// The default implementation does nothing. A method with another name or signature compiles and is never called.
    func pauseWriting() throws

    /// The bytes that wait are down to the low-water mark: go on.
    ///
    /// The default implementation does nothing. A method with another name or signature compiles and is never called.
    func resumeWriting() throws
}

extension StreamProtocol {
    public func eofReceived() -> Bool { false }
    public func pauseWriting() {}
    public func resumeWriting() {}
}
