package import AsyncIOSystem
package import SystemPackage

/// Accepts the clients of a listening socket: the part that differs between readiness and completion.
///
/// - Thread: the loop's.
package class AcceptDriver: EventSource {
    package final let socket: Socket
    final unowned let loop: EventLoop
    /// How many clients an iteration accepts at most. A flood of connections leaves time for those that are open.
    final let clientsPerIteration: Int
    /// What the clients are reported to. It owns the driver and closes it.
    package final weak var delegate: (any AcceptDriverDelegate)?

    /// Owns the socket. It is not listening yet, but it is closed with the loop.
    package init(_ socket: Socket, on loop: EventLoop, clientsPerIteration: Int) {
        self.socket = socket
        self.loop = loop
        self.clientsPerIteration = clientsPerIteration
        super.init()
        reservedBytes = Self.neverBulk
        _ = loop.register(self)
        loop.claim(socket.descriptor, for: self)
    }

    /// Accepts clients from the next iteration on.
    package func start() throws(Errno) {}

    /// Accepts nobody until the next `start()`; who connects waits in the kernel's queue.
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

    package final override func loopClosed() { delegate?.loopClosed() }
}

/// What an accept driver reports to: a listener.
package protocol AcceptDriverDelegate: AnyObject {
    /// A client was accepted, whose socket belongs to the delegate. Returns whether to go on.
    func accepted(_ connection: Socket, from peer: SocketAddress?) -> Bool

    /// No client waits any more.
    func acceptedAll()

    /// accept(2) failed. Returns whether to go on.
    func acceptFailed(_ error: Errno) -> Bool

    /// The loop has closed a descriptor, which the delegate waited for.
    func descriptorWasClosed()

    func close()

    func loopClosed()

    var localAddress: SocketAddress? { get }

    /// The call that created the server.
    var origin: CallSite? { get }
}
