package import AsyncIOSystem

/// Moves the bytes of one connected socket for its transport: the part that differs between readiness and completion.
///
/// To the transport both look like a non-blocking socket: `receive` and `send` move what they can now, and the transport is told
/// when they can again. Loop's thread only.
package class StreamDriver: EventSource {
    /// The transport's, until it is lost; then it is let go.
    @exclusivity(unchecked) package final var transport: StreamTransport?

    /// Addresses are asked for once, while the connection is there.
    package final let socket: Socket

    package init(socket: Socket) {
        self.socket = socket
    }

    /// Push style: deliver data to the transport as it comes. It may do so at once only from its own turn.
    package func startReading() {}

    package func stopReading() {}

    /// Pull style: moves what has come. No bytes are the end.
    package func receive(into buffer: UnsafeMutableRawBufferPointer) -> IOResult { .wouldBlock }

    /// Takes as many bytes as it can now.
    package func send(_ bytes: UnsafeRawBufferPointer) -> IOResult { .wouldBlock }

    /// Whether a task may send `count` bytes now, or has had its share of this tick; then the transport is told when to go on.
    package func grantsSend(of count: Int) -> Bool { true }

    /// Bytes that `send` took and the kernel has not.
    package var unsentBytes: Int { 0 }

    /// Ends the writing direction.
    package func shutdownWrite() {}

    /// No more events from here on; the socket stays open until `closeSocket()`.
    package func detach() {}

    /// Frees the socket, and itself as soon as the kernel uses nothing of it. After `detach()`.
    package func closeSocket() {}

    package final override func abandoned() {
        transport?.close()
    }

    package override func loopClosed() {
        transport?.loopClosed()
    }
}
