public import AsyncIOSystem

/// Receives the datagrams and events of a ``DatagramTransport`` as callbacks. asyncio: `DatagramProtocol`.
///
/// `connectionMade` is called first, and `connectionLost` is called last and exactly once. An error that a method
/// throws is passed to the loop's exception handler, and the endpoint continues, as in asyncio: a datagram that nobody
/// understands does not end a server.
///
/// ```swift
/// final class Echo: DatagramProtocol {
///     var transport: DatagramTransport?
///     func connectionMade(_ transport: DatagramTransport) { self.transport = transport }
///     func datagramReceived(_ data: RawSpan, from address: SocketAddress?) throws {
///         try transport?.send(data, to: address)
///     }
///     func connectionLost(_ error: (any Error)?) { transport = nil }
/// }
/// ```
///
/// The compiler rejects a class that misspells a required method; the others do nothing by default.
///
/// - Thread: the loop's, so a protocol is a plain class that need not be `Sendable`.
public protocol DatagramProtocol: AnyObject {
    /// Reports that the endpoint can be used. Datagrams are delivered from the next iteration on. Required.
    func connectionMade(_ transport: DatagramTransport) throws

    /// Delivers a datagram, which may be empty, with the address of its sender. The address is `nil` for a sender
    /// without one, such as a unix socket that is not bound. The span is valid only during the call. Required.
    func datagramReceived(_ data: RawSpan, from address: SocketAddress?) throws

    /// Reports that a datagram could not be sent or received, or that the network reports an earlier one as not
    /// delivered (ICMP), which the system does only for a connected endpoint. The endpoint continues.
    func errorReceived(_ error: IOError) throws

    /// Reports the end of the endpoint and the reason, which is `nil` if this side has closed it. Required.
    func connectionLost(_ error: (any Error)?) throws

    /// Reports that the write buffer is above its high water mark. Stop sending until `resumeWriting`.
    func pauseWriting() throws

    /// Reports that the write buffer has drained to its low water mark, so that sending may continue.
    func resumeWriting() throws
}

extension DatagramProtocol {
    public func errorReceived(_ error: IOError) {}
    public func pauseWriting() {}
    public func resumeWriting() {}
}

/// The protocol of an endpoint, which is called for each datagram without being retained for the call.
///
/// SAFETY: the transport releases a protocol that it replaces after the iteration.
struct HeldDatagramConsumer: ~Copyable {
    let consumer: (any DatagramProtocol)?

    init(_ consumer: (any DatagramProtocol)?) {
        self.consumer = consumer
    }

    @inline(__always) func datagramReceived(_ bytes: RawSpan, from address: SocketAddress?) throws {
        try consumer?.datagramReceived(bytes, from: address)
    }
}
