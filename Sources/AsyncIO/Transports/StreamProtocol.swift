/// Receives a connection's bytes and events as callbacks. asyncio: `Protocol`.
///
/// `connectionMade` is called first, and `connectionLost` is called last and exactly once. If a method throws, the
/// error is passed to the loop's exception handler, and this connection is aborted.
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
/// The compiler rejects a class that misspells a required method, declares it `async` or gives it other parameters. The
/// others do nothing by default; a misspelt `pauseWriting`, for example, compiles and is never called.
///
/// - Thread: the loop's, so a protocol is a plain class that need not be `Sendable`.
public protocol StreamProtocol: AnyObject {
    /// Reports that the connection is established. Data is delivered from the next iteration on. Required.
    func connectionMade(_ transport: StreamTransport) throws

    /// Delivers received bytes. The span is valid only during the call. Required.
    func dataReceived(_ data: RawSpan) throws

    /// Reports the peer's EOF. Return true to continue writing; otherwise the transport closes itself, as by default.
    func eofReceived() throws -> Bool

    /// Reports the end of the connection and the reason: `nil` after EOF, and after this side has ended it. Required.
    func connectionLost(_ error: (any Error)?) throws

    /// Reports that the write buffer is above its high water mark. Stop writing until `resumeWriting`.
    func pauseWriting() throws

    /// Reports that the write buffer has drained to its low water mark, so that writing may continue.
    func resumeWriting() throws
}

extension StreamProtocol {
    public func eofReceived() -> Bool { false }
    public func pauseWriting() {}
    public func resumeWriting() {}
}
