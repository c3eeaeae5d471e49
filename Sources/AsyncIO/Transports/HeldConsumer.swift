/// The protocol of a connection, which is called for each message without being retained for the call.
///
/// SAFETY: `StreamTransport.install(_:)` releases a protocol that it replaces after the iteration.
struct HeldConsumer: ~Copyable {
    let consumer: (any StreamProtocol)?

    init(_ consumer: (any StreamProtocol)?) {
        self.consumer = consumer
    }

    @inline(__always) func dataReceived(_ bytes: RawSpan) throws { try consumer?.dataReceived(bytes) }
}
