package import AsyncIOSystem
package import CAsyncIO

/// Moves the bytes of one connected socket for its transport: the part that differs between readiness and completion.
///
/// To the transport both look like a non-blocking socket: `receive` and `send` move what they can now, and the transport is told
/// when they can again. Loop's thread only.
package class StreamDriver: EventSource {
    /// The transport's, until it is lost; then it is let go.
    @exclusivity(unchecked) private final var heldTransport = Retained<StreamTransport>(nil)

    package final var transport: StreamTransport? {
        get { heldTransport.object }
        set { heldTransport.replace(by: newValue) }
    }

    /// The transport, for the time of an event. What `letTransportGo(_:)` has let go lives until then.
    final var unretainedTransport: Unmanaged<StreamTransport>? {
        @inline(__always)
        get { heldTransport.unretained }
    }

    /// Pull style: whether a receive may bring something.
    @exclusivity(unchecked) package final var isReadable = true

    /// Whether the socket was closed.
    final private(set) var isSocketClosed = false
    /// Whether the peer will read a reset instead of EOF.
    final private(set) var resetsOnClose = false

    /// Addresses are asked for once, while the connection is there.
    package final let socket: Socket

    /// Tasks that wait until the socket is closed.
    final var closeWaiters: [WaiterToken] = []

    package init(socket: Socket) {
        self.socket = socket
        super.init()
        reservedBytes = 0
    }

    /// Push style: deliver data to the transport as it comes. It may do so at once only from its own turn.
    package func startReading() {}

    package func stopReading() {}

    /// Pull style: moves what has come. No bytes are the end.
    package func receive(into buffer: UnsafeMutableRawBufferPointer) -> IOResult { .wouldBlock }

    /// Takes as many bytes as it can now.
    package func send(_ bytes: UnsafeRawBufferPointer) -> IOResult { .wouldBlock }

    /// As `send(_:)`, of several pieces.
    package func send(_ pieces: UnsafeBufferPointer<iovec>) -> IOResult {
        var sent = 0
        for piece in pieces {
            switch send(UnsafeRawBufferPointer(start: piece.iov_base, count: piece.iov_len)) {
            case .bytes(let count):
                sent += count
                if count < piece.iov_len { return .bytes(sent) }
            case .wouldBlock: return sent > 0 ? .bytes(sent) : .wouldBlock
            // It comes again with the next send.
            case .failed(let error): return sent > 0 ? .bytes(sent) : .failed(error)
            }
        }
        return .bytes(sent)
    }

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

    package override var label: String {
        "a connection with \(transport?.peerAddress?.description ?? "an unknown peer")"
    }

    package override var origin: CallSite? { transport?.origin }

    package override var isLeftOpen: Bool { transport?.state.isClosing == false }

    /// Closing the socket, by whatever way, resets the connection from now on.
    final func resetOnClose() {
        if isSocketClosed { return }
        resetsOnClose = true
        socket.resetOnClose()
    }

    /// Frees the socket, once, and tells those who wait for it.
    final func closeSocketNow(_ loop: EventLoop) {
        if isSocketClosed { return }
        isSocketClosed = true
        loop.closeSocket(socket)
        let waiters = closeWaiters
        closeWaiters = []
        for waiter in waiters { loop.settle(waiter, .ready) }
    }

    /// The connection has ended.
    final func letTransportGo(_ loop: EventLoop) {
        guard let transport else { return }
        loop.releaseLater(transport)
        self.transport = nil
    }

    package final override func abandoned() {
        transport?.abandoned()
    }

    package override func loopClosed() {
        transport?.loopClosed()
    }
}
