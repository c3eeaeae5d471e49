package import AsyncIOSystem
package import SystemPackage

/// Accepts the clients of a listening socket: the part that differs between readiness and completion.
/// - Thread: the loop's.
package class AcceptDriver: EventSource {
    package final let socket: Socket
    final unowned let loop: EventLoop
    /// The limit that leaves time for open connections during a flood of new ones.
    final let clientsPerIteration: Int
    /// Owns the driver and closes it.
    package final weak var delegate: (any AcceptDriverDelegate)?
    package final var isStarted = false

    /// Creates a driver that owns the socket, which is not listening yet.
    package init(_ socket: Socket, on loop: EventLoop, clientsPerIteration: Int) {
        self.socket = socket
        self.loop = loop
        self.clientsPerIteration = clientsPerIteration
        super.init()
        reservedBytes = Self.neverBulk
        loop.register(self)
        loop.claim(socket.descriptor, for: self)
    }

    package func start() throws(Errno) {}

    /// Accepts no clients until the next `start()`. New clients wait in the kernel's queue.
    package func stop() {}

    /// Ends the driver and closes the socket. Called once.
    package func close() {}

    package final override var label: String {
        "a server on \(delegate?.localAddress?.description ?? "an unknown address")"
    }

    package final override var origin: CallSite? { delegate?.origin }
    package final override var endedBy: EndingCause { .none }
    package final override func drain() { delegate?.close() }
    package final override func descriptorWasClosed() { delegate?.descriptorWasClosed() }
    package final override func loopClosed() { delegate?.close() }
}

package protocol AcceptDriverDelegate: AnyObject {
    /// Called when a client was accepted, whose socket then belongs to the delegate. Returns whether to continue.
    func accepted(_ connection: Socket, from peer: SocketAddress?) -> Bool

    func acceptedAll()

    /// Called when accept(2) failed. Returns whether to continue.
    func acceptFailed(_ error: Errno) -> Bool

    /// Called when the loop has closed a descriptor, if the delegate waited for that.
    func descriptorWasClosed()

    /// Called when no further client may be accepted: the loop is closing, or runs its tasks to their ends.
    func close()

    var localAddress: SocketAddress? { get }

    /// The call that created the server.
    var origin: CallSite? { get }
}
