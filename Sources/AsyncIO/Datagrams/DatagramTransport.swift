public import AsyncIOSystem
import SystemPackage

/// An endpoint for datagrams: a UDP socket, or a unix socket for datagrams. asyncio: `DatagramTransport`.
///
/// ``EventLoop/createDatagramEndpoint(local:remote:options:fileID:line:_:)`` creates it. It is not `Sendable`.
///
/// - Thread: the loop's, unless a member says otherwise. Calls on other threads trap with a message.
public final class DatagramTransport: CustomStringConvertible {
    /// `nil` after `connectionLost`.
    @exclusivity(unchecked) var heldConsumer: HeldDatagramConsumer
    /// The endpoint's loop.
    public let loop: EventLoop
    let driver: DatagramDriver
    @exclusivity(unchecked) var state = StreamTransportState()
    /// The consumer, if a task receives the datagrams.
    @exclusivity(unchecked) private var inbox: DatagramInbox?
    /// Whether the socket is connected, so that datagrams are sent without an address.
    let isConnected: Bool
    /// Whether a datagram needs no address.
    let hasFixedPeer: Bool
    var hasReportedDrop = false
    var closingTimer = SlotID.stale
    /// The file of a unix socket, to remove before the socket is closed.
    var socketFile: SocketFile?
    /// The reason for the end of the endpoint; `nil` after a close.
    var lossError: (any Error)?
    let origin: CallSite

    /// The local address when the endpoint was created. asyncio: `get_extra_info("sockname")`.
    public let localAddress: SocketAddress?
    /// The only address that datagrams are sent to; `nil` if each datagram has its own. asyncio:
    /// `get_extra_info("peername")`.
    public let peerAddress: SocketAddress?

    /// - Parameter peerAddress: `nil` too for the unnamed peer of a connected unix socket.
    init(
        loop: EventLoop, driver: DatagramDriver, consumer: any DatagramProtocol, isConnected: Bool,
        localAddress: SocketAddress?, peerAddress: SocketAddress?, origin: CallSite
    ) {
        self.loop = loop
        self.driver = driver
        heldConsumer = HeldDatagramConsumer(consumer)
        inbox = consumer as? DatagramInbox
        self.isConnected = isConnected
        hasFixedPeer = isConnected || peerAddress != nil
        self.peerAddress = peerAddress
        self.origin = origin
        self.localAddress = localAddress
        driver.delegate = self
    }

    /// Notifies the protocol, and receives from the next iteration on. asyncio: `_SelectorDatagramTransport.__init__`.
    func start() {
        callSoon { [self] in
            callConsumer("connectionMade") { try $0.connectionMade(self) }
            callSoon { [self] in perform(state.started()) }
        }
    }

    @inline(__always) var isOnLoop: Bool {
        // SAFETY: the transport retains its loop.
        Unmanaged.passUnretained(loop)._withUnsafeGuaranteedRef { $0.isOnLoop }
    }

    func callSoon(_ body: @escaping () -> Void) {
        loop.callSoon(fileID: origin.fileID, line: origin.line, body)
    }

    /// The socket, for its options and multicast groups. asyncio: `get_extra_info("socket")`.
    /// - Thread: any; its properties and functions may be called only on the loop's.
    public var socket: TransportSocket { TransportSocket(owner: self) }

    /// The protocol that receives the datagrams; `nil` after `connectionLost`. asyncio: `get_protocol`, `set_protocol`.
    ///
    /// A new protocol receives the datagrams from then on; its `connectionMade` is not called. The former one is
    /// released after the iteration. Setting it after `connectionLost` has no effect; setting `nil` traps.
    public var `protocol`: (any DatagramProtocol)? {
        get {
            loop.requireOnLoop("DatagramTransport.protocol")
            return heldConsumer.consumer
        }
        set {
            loop.requireOnLoop("DatagramTransport.protocol")
            guard let newValue else { fatalError("DatagramTransport.protocol was set to nil") }
            if heldConsumer.consumer != nil { install(newValue) }
        }
    }

    private func install(_ consumer: (any DatagramProtocol)?) {
        let former = heldConsumer.consumer
        heldConsumer = HeldDatagramConsumer(consumer)
        inbox = consumer as? DatagramInbox
        // It may be the one that is called now.
        if let former { loop.releaseLater(former) }
    }

    func callConsumer(_ method: StaticString, _ body: (any DatagramProtocol) throws -> Void) {
        guard let consumer = heldConsumer.consumer else { return }
        do {
            try body(consumer)
        } catch {
            consumerFailed(method, error)
        }
    }

    /// The endpoint continues, as in asyncio.
    @inline(never) func consumerFailed(_ method: StaticString, _ error: any Error) {
        loop.report(
            ExceptionContext(
                message: "protocol.\(method)() failed", error: error, origin: origin,
                protocol: heldConsumer.consumer, socket: driver.socket.descriptor))
    }

    // MARK: Ending

    /// Sends the datagrams in the write buffer, then closes the endpoint and calls `connectionLost`. Idempotent.
    /// asyncio: `close`.
    ///
    /// Nothing is received any more. If a unix socket cannot send any datagram for a minute, because its receiver does
    /// not receive, the endpoint ends with an `IOError`.
    public func close() {
        loop.requireOnLoop("DatagramTransport.close")
        perform(state.closed(queuedBytes: unsentBytes))
        boundClosing()
    }

    /// Closes the endpoint at once, and discards the datagrams that were not sent. Idempotent. asyncio: `abort`.
    public func abort() {
        loop.requireOnLoop("DatagramTransport.abort")
        perform(state.failed())
    }

    /// Whether the endpoint is closed or being closed. asyncio: `is_closing`.
    public var isClosing: Bool {
        loop.requireOnLoop("DatagramTransport.isClosing")
        return state.isClosing
    }

    /// How long the receivers may take nothing while the endpoint is being closed.
    private static let stallLimit = Duration.seconds(60)

    private func boundClosing() {
        guard state.life == .closing, closingTimer == .stale else { return }
        let bytes = unsentBytes
        closingTimer =
            loop.callLater(after: Self.stallLimit) { [weak self] in
                guard let self else { return }
                closingTimer = .stale
                if unsentBytes < bytes { return boundClosing() }
                ended(with: IOError(.timedOut, operation: "send the rest of the datagrams to", address: peerAddress))
            }
            .id
    }

    /// Not 0 while datagrams have not been passed to the kernel.
    private var unsentBytes: Int { driver.hasCollected ? max(driver.waitingBytes, 1) : driver.waitingBytes }

    func perform(_ actions: StreamTransportState.Actions) {
        if actions.isEmpty { return }
        if actions.contains(.stopReading) { driver.stopReceiving() }
        if actions.contains(.startReading) { driver.startReceiving() }
        if actions.contains(.discardQueue) { driver.discardUnsent() }
        if actions.contains(.pauseWriting) { callConsumer("pauseWriting") { try $0.pauseWriting() } }
        if actions.contains(.resumeWriting) { callConsumer("resumeWriting") { try $0.resumeWriting() } }
        if actions.contains(.lose) { lose() }
    }

    /// The protocol is notified in the next iteration, as in asyncio, so never within one of its own calls.
    private func lose() {
        if closingTimer != .stale { loop.cancelCallback(closingTimer) }
        driver.detach()
        callSoon { [self] in
            state.reportedLoss()
            callConsumer("connectionLost") { try $0.connectionLost(lossError) }
            // The loop may have been closed meanwhile.
            guard state.life != .closed else { return }
            state.closedDescriptor()
            socketFile?.remove()
            driver.close()
            // Last: the user's code may run when the protocol is released.
            install(nil)
        }
    }

    /// The descriptor, the addresses and, on the loop's thread only, the state, such as
    /// `<DatagramTransport fd=7 127.0.0.1:53, open, write buffer 0 bytes>`.
    ///
    /// - Thread: any.
    public var description: String { "<DatagramTransport \(summary)>" }

    var summary: String {
        var addresses = localAddress?.description ?? "no address"
        if let peerAddress { addresses += " -> \(peerAddress)" }
        guard loop.isOnLoop else { return "\(addresses), on another thread's loop" }
        if state.life == .closed { return "\(addresses), closed\(lossError.map { ": \($0)" } ?? "")" }
        let life = state.isClosing ? "closing" : "open"
        return "fd=\(driver.socket.number) \(addresses), \(life), write buffer \(driver.waitingBytes) bytes"
    }
}

extension DatagramTransport: DatagramDriverDelegate {
    package func received(_ datagrams: UnsafeBufferPointer<ReceivedDatagram>) -> UnownedJob? {
        if let inbox { return store(datagrams, in: inbox) }
        for datagram in datagrams {
            // A datagram before it has closed the endpoint.
            guard state.life == .open else { break }
            do {
                try heldConsumer.datagramReceived(datagram.bytes.bytes, from: datagram.sender)
            } catch {
                consumerFailed("datagramReceived", error)
            }
        }
        return nil
    }

    /// For a task: the addresses are copied as they are. Returns the job of the task if it waits.
    private func store(
        _ datagrams: UnsafeBufferPointer<ReceivedDatagram>, in inbox: DatagramInbox
    ) -> UnownedJob? {
        for datagram in datagrams { inbox.store(datagram.bytes, sender: datagram.addressBytes) }
        return inbox.takeWaitingJob(on: loop)
    }

    package func failed(_ error: IOError) {
        // An error of a datagram that was sent before is reported, too.
        if state.isLost { return }
        callConsumer("errorReceived") { try $0.errorReceived(error) }
    }

    package func flushed() {
        let bytes = unsentBytes
        if state.life == .open { perform(state.queued(queuedBytes: driver.waitingBytes)) }
        perform(state.flushed(queuedBytes: bytes))
    }

    package func ended(with error: IOError) {
        if state.isLost { return }
        lossError = error
        perform(state.failed())
    }

    package func abandoned() {
        if loop.core.pointee.debug.isOn, !state.isClosing {
            loop.warn(.unclosed, "\(report.label) was released without close()", callSite: origin)
        }
        close()
    }

    /// Frees the socket without calling the protocol, because the loop was closed.
    package func loopClosed() {
        if !state.isLost {
            lossError = EventLoopError.closed
            _ = state.failed()
        }
        state.closedDescriptor()
        socketFile?.remove()
        // The user's code may run when the protocol is released.
        install(nil)
    }

    package var report: ConnectionReport {
        let address = peerAddress ?? localAddress
        return ConnectionReport(
            label: "a datagram endpoint \(peerAddress == nil ? "on" : "to") \(address?.description ?? "no address")",
            origin: origin, isLeftOpen: !state.isClosing)
    }
}

extension DatagramTransport: SocketOwner {
    var eventLoop: EventLoop { loop }

    /// An option that is set applies to later datagrams only, so those that were sent before are sent first.
    var openSocket: Socket? {
        loop.requireOnLoop("TransportSocket")
        driver.passToKernel()
        return state.life == .closed ? nil : driver.socket
    }
}

@available(*, unavailable, message: "a transport belongs to its loop; use it in callbacks and tasks of the loop")
extension DatagramTransport: Sendable {}
