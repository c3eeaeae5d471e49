public import AsyncIOSystem
import Synchronization
import SystemPackage

/// A connection: it moves bytes between a socket or a pipe and a consumer. asyncio: `Transport`, `ReadTransport`,
/// `WriteTransport`.
///
/// The consumer is a ``StreamProtocol``, or the task that has the connection's `StreamReader` and `StreamWriter`. A
/// transport is not `Sendable`.
///
/// - Thread: the loop's, unless a member says otherwise. Calls on other threads trap with a message.
public final class StreamTransport: CustomStringConvertible {
    // The fields that every message uses come first, in few cache lines.

    /// `nil` if a task reads the bytes, and after `connectionLost`.
    @exclusivity(unchecked) var heldConsumer: HeldConsumer
    @exclusivity(unchecked) private(set) var bufferedConsumer: (any BufferedStreamProtocol)?
    /// The connection's loop.
    public let loop: EventLoop
    @exclusivity(unchecked) private var heldDriver: Retained<StreamDriver>
    @exclusivity(unchecked) var readWaiter = StreamWaiter()
    @exclusivity(unchecked) var state = StreamTransportState()
    // Small fields fill gaps that alignment leaves, here and below, because every connection has them.
    /// Whether the transport was created for a protocol.
    let isPush: Bool
    /// How many of the two streams, the reader and the writer, exist.
    private let streamCount = Atomic<UInt8>(0)
    /// The directions in which bytes move: both, except for the end of a pipe.
    let directions: Interest
    /// The number of bytes that tasks' writes have sent. Only the loop's thread changes it; other threads may read it.
    let writtenBytes = Atomic<Int>(0)
    @exclusivity(unchecked) var queue = WriteQueue()
    @exclusivity(unchecked) var writeProgress: WriteProgress?
    @exclusivity(unchecked) var writeWaiter = StreamWaiter()

    /// The local address when the connection was established. asyncio: `get_extra_info("sockname")`.
    public let localAddress: SocketAddress?
    /// What ended the connection first: a call or the peer's EOF. `nil` after a loss.
    var ending: Ending?
    var closingTimer = SlotID.stale
    /// The address of the peer. asyncio: `get_extra_info("peername")`.
    public let peerAddress: SocketAddress?
    var hasReportedDrop = false
    /// The identifier of the driver that has the descriptor, below all filters.
    private let rootID: SlotID
    let connectionOrigin: ConnectionOrigin?
    /// The reason for the loss of the connection; `nil` after a clean end.
    @exclusivity(unchecked) var lossError: (any Error)?

    package init(
        loop: EventLoop, driver: StreamDriver, consumer: (any StreamProtocol)?, peerAddress: SocketAddress?,
        directions: Interest = [.read, .write], origin: ConnectionOrigin? = nil
    ) {
        self.loop = loop
        self.directions = directions
        heldConsumer = HeldConsumer(consumer)
        bufferedConsumer = consumer as? any BufferedStreamProtocol
        isPush = consumer != nil
        self.peerAddress = peerAddress ?? driver.channel.peerAddress
        localAddress = driver.channel.localAddress
        connectionOrigin = origin
        heldDriver = Retained(driver)
        rootID = driver.rootID ?? .stale
        driver.delegate = self
        driver.lendsMemory = bufferedConsumer != nil
        if directions == .read { state.openedForReadingOnly() }
        if directions == .write { state.openedForWritingOnly() }
        origin?.connectionBegan()
    }

    var origin: CallSite? { connectionOrigin?.site }

    var consumer: (any StreamProtocol)? { heldConsumer.consumer }

    var driver: StreamDriver {
        // The transport always has one.
        heldDriver.object.unsafelyUnwrapped
    }

    package func replaceDriver(by driver: StreamDriver) {
        loop.releaseLater(self.driver)
        heldDriver.replace(by: driver)
        driver.delegate = self
        driver.lendsMemory = bufferedConsumer != nil
    }

    /// The driver is not retained. If `body` replaces it, it lives until the iteration ends.
    @inline(__always) func withDriver<Result>(_ body: (StreamDriver) -> Result) -> Result {
        heldDriver.unretained.unsafelyUnwrapped._withUnsafeGuaranteedRef(body)
    }

    /// Notifies the protocol, and reads from the next iteration on. asyncio: `_SelectorSocketTransport.__init__`.
    package func start() {
        callSoon { [self] in
            // Also after a loss meanwhile, because the call of `connectionLost` is queued behind this one.
            callConsumer("connectionMade") { try $0.connectionMade(self) }
            callSoon { [self] in perform(state.started()) }
        }
    }

    /// Schedules `body`. If it is slow, the report names the call that opened the connection.
    func callSoon(_ body: @escaping () -> Void) {
        let site = origin ?? CallSite(fileID: #fileID, line: #line)
        loop.callSoon(fileID: site.fileID, line: site.line, body)
    }

    /// The socket, for its options, or the pipe. asyncio: `get_extra_info("socket")`, `get_extra_info("pipe")`.
    /// - Thread: any; its properties and functions may be called only on the loop's.
    public var socket: TransportSocket { TransportSocket(owner: self) }

    func retainStreams() { streamCount.add(1, ordering: .relaxed) }

    /// Counts a released stream, on any thread. When both are released, the connection is closed.
    func releaseStreams() {
        if streamCount.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 { loop.abandonSource(rootID) }
    }

    // MARK: The consumer

    /// The protocol that receives the data. `nil` if a task reads the data, and after `connectionLost`. asyncio:
    /// `get_protocol`, `set_protocol`.
    ///
    /// A new protocol, of either kind, receives the data that arrives from then on, and the rest of the same piece if
    /// it is set within `bufferUpdated`; its `connectionMade` is not called. The former one is released after the
    /// iteration. Setting it after `connectionLost` has no effect. Setting it traps on a connection whose bytes a
    /// `StreamReader` reads; setting `nil` always traps.
    public var `protocol`: (any StreamProtocol)? {
        get {
            loop.requireOnLoop("StreamTransport.protocol")
            return consumer
        }
        set {
            loop.requireOnLoop("StreamTransport.protocol")
            guard let newValue else { fatalError("StreamTransport.protocol was set to nil") }
            if !isPush { fatalError("StreamTransport.protocol was set, but a StreamReader reads the connection") }
            if consumer == nil { return }
            install(newValue)
        }
    }

    func install(_ consumer: (any StreamProtocol)?) {
        let former = self.consumer
        heldConsumer = HeldConsumer(consumer)
        bufferedConsumer = consumer as? any BufferedStreamProtocol
        driver.lendsMemory = bufferedConsumer != nil
        // It may be the one that is called now.
        if let former { loop.releaseLater(former) }
    }

    @inline(__always)
    func callConsumer(_ method: StaticString, _ body: (any StreamProtocol) throws -> Void) {
        guard let consumer else { return }
        attempt(method) { try body(consumer) }
    }

    /// Does what `callConsumer` does, for a `body` that has the protocol.
    @inline(__always) func attempt(_ method: StaticString, _ body: () throws -> Void) {
        do {
            try body()
        } catch {
            consumerFailed(method, error)
        }
    }

    @inline(never) private func consumerFailed(_ method: StaticString, _ error: any Error) {
        loop.report(
            ExceptionContext(
                message: "protocol.\(method)() failed", error: error, origin: origin,
                protocol: self.protocol, transport: self))
        end(with: error)
    }

    // MARK: Carrying out

    func perform(_ actions: StreamTransportState.Actions) {
        if actions.isEmpty { return }
        if actions.contains(.stopReading) { driver.stopReading() }
        if actions.contains(.startReading) { if isPush || state.life == .lingering { driver.startReading() } }
        if actions.contains(.discardQueue) { queue.removeAll() }
        if actions.contains(.pauseWriting) { callConsumer("pauseWriting") { try $0.pauseWriting() } }
        if actions.contains(.resumeWriting) { callConsumer("resumeWriting") { try $0.resumeWriting() } }
        if actions.contains(.shutdownWrite) { shutdownWrite(isEnding: actions.contains(.lose)) }
        if actions.contains(.lose) { lose() }
    }

    private func shutdownWrite(isEnding: Bool) {
        // The close that ends the connection sends EOF too.
        guard let error = driver.shutdownWrite(on: loop), !isEnding else { return }
        // The peer would wait for EOF for ever.
        failed(error, operation: "send EOF to")
    }

    /// The descriptor, the addresses and, on the loop's thread only, the state, such as
    /// `<StreamTransport fd=7 127.0.0.1:80 -> 127.0.0.1:50000, open, write buffer 0 bytes>`.
    ///
    /// - Thread: any.
    public var description: String { "<StreamTransport \(summary)>" }

    private var ends: String {
        switch directions {
        case .read: "a pipe to read from"
        case .write: "a pipe to write to"
        default: "\(localAddress?.description ?? "no address") -> \(peerAddress?.description ?? "an unknown peer")"
        }
    }

    var summary: String {
        let addresses = ends
        guard loop.isOnLoop else { return "\(addresses), on another thread's loop" }
        guard let openSocket else { return "\(addresses), closed\(lossError.map { ": \($0)" } ?? "")" }
        var text = "fd=\(openSocket.number) \(addresses), \(state.isClosing ? "closing" : "open")"
        if state.reading == .atEOF { text += ", EOF received" }
        if state.reading == .paused { text += ", reading paused" }
        if directions == .read { return text }
        if state.writing != .open { text += ", write side shut down" }
        return text + ", write buffer \(writeBufferBytes) bytes"
    }
}

extension StreamTransport: SocketOwner {
    var eventLoop: EventLoop { loop }

    var openSocket: Socket? {
        loop.requireOnLoop("TransportSocket")
        return state.life == .closed ? nil : driver.channel.socket
    }
}

@available(*, unavailable, message: "a transport belongs to its loop; use it in callbacks and tasks of the loop")
extension StreamTransport: Sendable {}

/// The call or the server that opened connections, and their numbers; shared by all connections of a server.
package final class ConnectionOrigin {
    let site: CallSite
    private(set) var openedCount = 0
    private(set) var openCount = 0
    /// The number of connections that are open or wait for their filters to be established.
    private var usedCount = 0
    /// The number of connections at which the server is full.
    var limit = Int.max
    /// Called when the server has become full, and when it is no longer full.
    var limitCrossed: (() -> Void)?
    var allEnded: (() -> Void)?

    init(_ site: CallSite) { self.site = site }

    var isFull: Bool { usedCount >= limit }

    func connectionBegan() {
        openedCount += 1
        openCount += 1
        takePlace()
    }

    func connectionEnded() {
        openCount -= 1
        leavePlace()
        if openCount == 0 { allEnded?() }
    }

    func takePlace() {
        usedCount += 1
        if usedCount == limit { limitCrossed?() }
    }

    func leavePlace() {
        usedCount -= 1
        if usedCount == limit - 1 { limitCrossed?() }
    }
}
