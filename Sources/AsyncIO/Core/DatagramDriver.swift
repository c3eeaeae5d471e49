package import AsyncIOSystem
import SystemPackage

/// Receives and sends the datagrams of one socket: the part that differs between readiness and completion.
/// - Thread: the loop's.
package class DatagramDriver: EventSource {
    /// The steps of closing the socket, in this order.
    enum Phase: Comparable {
        case open, detached, closed
    }

    package final let socket: Socket
    // SAFETY: the loop retains its drivers, and the transport of a driver that it has released retains the loop.
    unowned(unsafe) final let loop: EventLoop
    @exclusivity(unchecked) package final var delegate: (any DatagramDriverDelegate)?
    @exclusivity(unchecked) final var phase = Phase.open
    @exclusivity(unchecked) final var isReceiving = false

    /// Creates the driver, which owns the socket. Receiving does not begin before `startReceiving()`.
    init(_ socket: Socket, on loop: EventLoop) {
        self.socket = socket
        self.loop = loop
        super.init()
        reservedBytes = 0
        loop.register(self)
    }

    /// Delivers datagrams to the delegate, from the next run of this source on.
    package func startReceiving() { isReceiving = true }

    /// Datagrams stay in the kernel, which drops what it has no room for. Those that were received are delivered.
    package func stopReceiving() { isReceiving = false }

    /// Sends a datagram with those of this run or iteration, or when the socket has room. A failure is reported.
    ///
    /// - Parameter address: `nil` on a connected socket.
    package func send(_ bytes: UnsafeRawBufferPointer, to address: SocketAddress?) {}

    /// Sends a datagram before it returns, unless others wait. Throws its error.
    package func sendAtOnce(_ bytes: UnsafeRawBufferPointer, to address: SocketAddress?) throws(Errno) {}

    /// The datagrams that the kernel had no room for, in bytes, each with 64 bytes more than it has.
    package var waitingBytes: Int { 0 }

    /// Whether datagrams were sent in this iteration and not passed to the kernel yet.
    package var hasCollected: Bool { false }

    /// Passes the datagrams that were sent in this iteration to the kernel now.
    package func passToKernel() {}

    /// Discards the datagrams that were not passed to the kernel.
    package func discardUnsent() {}

    // MARK: Ending

    /// Ends all events. The socket stays open.
    package func detach() {
        if phase != .open { return }
        phase = .detached
        isReceiving = false
        discardUnsent()
        loop.unwatch(socket.descriptor, self)
    }

    package final func close() {
        if phase == .closed { return }
        detach()
        phase = .closed
        loop.unregister(self)
        loop.closeSocket(socket)
        guard let delegate else { return }
        loop.releaseLater(delegate)
        self.delegate = nil
    }

    // MARK: Reports and the loop

    package final override var label: String { delegate?.report.label ?? "a datagram endpoint that has ended" }
    package final override var origin: CallSite? { delegate?.report.origin }
    package final override var isLeftOpen: Bool { delegate?.report.isLeftOpen ?? false }
    package final override func abandoned() { delegate?.abandoned() }
    package final override func loopClosed() {
        passToKernel()
        delegate?.loopClosed()
        close()
    }
}

/// The object that a datagram driver reports to.
/// - Thread: the loop's.
package protocol DatagramDriverDelegate: AnyObject {
    /// Takes received datagrams, whose memory is valid during the call. Returns the job of the task that waits for one.
    func received(_ datagrams: UnsafeBufferPointer<ReceivedDatagram>) -> UnownedJob?

    /// A call has failed, or the network has reported an error, which ends nothing.
    func failed(_ error: IOError)

    /// Other datagrams wait than before, or those that were collected were passed to the kernel.
    func flushed()

    /// Nothing can be received or sent any more.
    func ended(with error: IOError)

    func abandoned()

    func loopClosed()

    var report: ConnectionReport { get }
}
