public import AsyncIOSystem
import Synchronization
import SystemPackage

/// A connection: it moves bytes between a socket and a consumer. asyncio: `Transport`.
///
/// The consumer is a ``StreamProtocol``, or the task that has the connection's `StreamReader` and `StreamWriter`. A
/// transport is not `Sendable`. Calls on another thread than the loop's trap with a message.
public final class StreamTransport {
    // The fields that every message uses come first, in few cache lines.

    /// `nil` if a task reads the bytes, and after `connectionLost`.
    @exclusivity(unchecked) private(set) var consumer: (any StreamProtocol)?
    /// The consumer, if it lends memory.
    @exclusivity(unchecked) private(set) var bufferedConsumer: (any BufferedStreamProtocol)?
    /// The loop on whose thread all calls are made.
    public let loop: EventLoop
    @exclusivity(unchecked) private var heldDriver: Retained<StreamDriver>
    @exclusivity(unchecked) var readWaiter = StreamWaiter()
    @exclusivity(unchecked) var state = StreamTransportState()
    // Small fields fill gaps that alignment leaves, here and below, because every connection has them.
    /// Whether the transport was created for a protocol.
    let isPush: Bool
    /// How many of the two streams, the reader and the writer, exist.
    private let streamCount = Atomic<UInt8>(0)
    /// The number of bytes that tasks' writes have sent. Only the loop's thread changes it; other threads may read it.
    let writtenBytes = Atomic<Int>(0)
    @exclusivity(unchecked) var queue = WriteQueue()
    @exclusivity(unchecked) var currentWrite = SerializedWrite.idle
    @exclusivity(unchecked) var writeWaiter = StreamWaiter()

    /// The local address when the connection was established. asyncio: `get_extra_info("sockname")`.
    public let localAddress: SocketAddress?
    /// What ended the connection first: a call of this program or the peer's EOF. `nil` after a loss.
    var ending: Ending?
    /// The address of the peer. asyncio: `get_extra_info("peername")`.
    public let peerAddress: SocketAddress?
    /// Whether a discarded write has been reported.
    var hasReportedDrop = false
    private let connectionOrigin: ConnectionOrigin?
    /// The reason for the loss of the connection; `nil` after a clean end.
    @exclusivity(unchecked) var lossError: (any Error)?
    /// The timer that bounds a close that waits for the peer to receive the write buffer.
    var closingTimer: SlotID? {
        get { storedClosingTimer.id }
        set { storedClosingTimer.id = newValue }
    }
    private var storedClosingTimer = StoredSlotID()

    package init(
        loop: EventLoop, driver: StreamDriver, consumer: (any StreamProtocol)?, peerAddress: SocketAddress?,
        origin: ConnectionOrigin? = nil
    ) {
        self.loop = loop
        self.consumer = consumer
        bufferedConsumer = consumer as? any BufferedStreamProtocol
        isPush = consumer != nil
        self.peerAddress = peerAddress ?? driver.channel.peerAddress
        localAddress = driver.channel.localAddress
        connectionOrigin = origin
        heldDriver = Retained(driver)
        driver.delegate = self
        driver.lendsMemory = bufferedConsumer != nil
        origin?.connectionBegan()
    }

    /// The call that opened the connection, or that created its server.
    var origin: CallSite? { connectionOrigin?.site }

    /// The driver that moves the bytes.
    var driver: StreamDriver {
        // The transport always has one.
        heldDriver.object.unsafelyUnwrapped
    }

    /// Makes another driver move the bytes, which has the same channel.
    package func replaceDriver(by driver: StreamDriver) {
        loop.releaseLater(self.driver)
        heldDriver.replace(by: driver)
        driver.delegate = self
        driver.lendsMemory = bufferedConsumer != nil
    }

    /// Calls `body` with the driver, without retaining it. A driver that is replaced meanwhile lives until the
    /// iteration ends.
    @inline(__always)
    func withDriver<Result>(_ body: (StreamDriver) -> Result) -> Result {
        heldDriver.unretained.unsafelyUnwrapped._withUnsafeGuaranteedRef(body)
    }

    /// Whether `origin` opened the connection.
    func wasOpened(by origin: ConnectionOrigin) -> Bool { connectionOrigin === origin }

    /// Notifies the protocol of the connection, and reads from the next iteration on. asyncio:
    /// `_SelectorSocketTransport.__init__`.
    package func start() {
        callSoon { [self] in
            // Also if the connection was lost meanwhile, because the call of `connectionLost` is queued behind this
            // one.
            callConsumer("connectionMade") { try $0.connectionMade(self) }
            callSoon { [self] in perform(state.started()) }
        }
    }

    /// Schedules `body`. If it is slow, the report names the call that opened the connection.
    private func callSoon(_ body: @escaping () -> Void) {
        let site = origin ?? CallSite(fileID: #fileID, line: #line)
        loop.callSoon(fileID: site.fileID, line: site.line, body)
    }

    // MARK: The consumer

    /// The protocol that receives the data. `nil` if a task reads the data, and after `connectionLost`. asyncio:
    /// `get_protocol`, `set_protocol`.
    ///
    /// A new protocol, of either kind, receives the data that arrives from then on; its `connectionMade` is not called.
    /// If it is set within `bufferUpdated`, it also receives the rest of the same piece. Setting it after
    /// `connectionLost` has no effect. Setting it traps on a connection whose bytes a `StreamReader` reads; setting
    /// `nil` always traps.
    /// - Thread: the loop's.
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
        let former = self.consumer.take()
        self.consumer = consumer
        bufferedConsumer = consumer as? any BufferedStreamProtocol
        driver.lendsMemory = bufferedConsumer != nil
        // Released only now, because its `deinit` is the user's code, which may use the transport.
        withExtendedLifetime(former) {}
    }

    /// Calls the protocol. If it throws, the error is reported and the connection is ended.
    @inline(__always)
    func callConsumer(_ method: StaticString, _ body: (any StreamProtocol) throws -> Void) {
        guard let consumer else { return }
        do {
            try body(consumer)
        } catch {
            consumerFailed(method, error)
        }
    }

    @inline(never)
    func consumerFailed(_ method: StaticString, _ error: any Error) {
        loop.report(
            ExceptionContext(
                message: "protocol.\(method)() failed", error: error, origin: origin,
                protocol: self.protocol, transport: self))
        end(with: error)
    }

    // MARK: Ending

    /// Flushes the write buffer, then closes the connection and calls `connectionLost`. Idempotent. asyncio: `close`.
    ///
    /// The write that a task has begun is sent too, see ``StreamWriter/close()``. Reading stops at once.
    ///
    /// The connection stays open while the peer does not read, until nothing could be sent for a minute. Then the write
    /// buffer is discarded and the connection is reset, with an `IOError`.
    /// ``closeGracefully(within:maxDiscardedBytes:)``, ``abort()`` and ``Server/shutDown(within:)`` let the caller
    /// choose the bound. If there is unread input, the peer may lose what is still in flight: see
    /// ``closeGracefully(within:maxDiscardedBytes:)``.
    ///
    /// If a write was cut off (see ``StreamWriter/write(_:)-(RawSpan)``), the connection is reset.
    /// - Thread: the loop's.
    public func close() {
        loop.requireOnLoop("StreamTransport.close")
        if state.writing == .cutOff { return reset() }
        endsNow(by: .close)
        perform(state.closed(queuedBytes: outstandingBytes))
        boundClosing()
        // The flush may take as long as the peer likes, so tasks that wait for the connection are resumed now.
        wakeTasks()
    }

    /// Closes the connection at once and discards the write buffer. Idempotent. asyncio: `abort`.
    ///
    /// If bytes are discarded, or a write was cut off, the connection is reset, so that the peer does not take a part
    /// for the whole; otherwise the peer reads EOF.
    /// - Thread: the loop's.
    public func abort() {
        loop.requireOnLoop("StreamTransport.abort")
        endsNow(by: .abort)
        end(with: nil)
    }

    /// Closes the connection at once with a reset. The peer reads an error instead of EOF, so it does not take a part
    /// of a response for the whole. asyncio has no such call.
    /// - Thread: the loop's.
    public func reset() {
        loop.requireOnLoop("StreamTransport.reset")
        endsNow(by: .reset)
        if !state.isLost { driver.resetOnClose() }
        end(with: nil)
    }

    /// Whether the connection is closed or being closed. asyncio: `is_closing`.
    /// - Thread: the loop's.
    public var isClosing: Bool {
        loop.requireOnLoop("StreamTransport.isClosing")
        return state.isClosing
    }

    /// Whether ``writeEOF()`` is possible, which is always true for a socket. asyncio: `can_write_eof`.
    public var canWriteEOF: Bool { true }

    /// The socket, for its options. asyncio: `get_extra_info("socket")`.
    /// - Thread: any; its properties and functions may be called only on the loop's.
    public var socket: TransportSocket { TransportSocket(self) }

    /// Flushes the write buffer, then shuts down the write side. Reading continues. Idempotent. asyncio: `write_eof`.
    ///
    /// If a write was cut off, the connection is reset instead.
    /// - Thread: the loop's.
    public func writeEOF() {
        loop.requireOnLoop("StreamTransport.writeEOF")
        if state.writing == .cutOff { return reset() }
        perform(state.endedWriting(queuedBytes: outstandingBytes))
    }

    /// Counts a reader or a writer that was created.
    func retainStreams() {
        streamCount.add(1, ordering: .relaxed)
    }

    /// Counts a reader or a writer that was released. The connection is closed when both are.
    ///
    /// - Thread: any.
    func releaseStreams() {
        guard streamCount.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 else { return }
        if loop.isRunningHere {
            if let id = driver.rootID { loop.abandonSource(id) }
        } else {
            // The driver may be replaced at this moment.
            let word = LoopWord(AbandonedTransport(self))
            if !loop.inbox.post(word) { _ = word.takeMessage() }
        }
    }

    /// Closes the connection, because its reader and its writer were released.
    package func abandoned() {
        if loop.core.pointee.debug.isOn, !state.isClosing {
            loop.warn(LoopWarning(.unclosed, "\(driver.label) was released without close()", callSite: origin))
        }
        close()
        boundAbandoned()
    }

    /// Frees the socket without calling the protocol, because the loop was closed.
    package func loopClosed() {
        let wasLost = state.isLost
        if !wasLost {
            lossError = EventLoopError.closed
            if outstandingBytes > 0 { driver.resetOnClose() }
            _ = state.failed()
            queue.removeAll()
            readWaiter = StreamWaiter()
            writeWaiter = StreamWaiter()
        }
        state.closedDescriptor()
        driver.close()
        // Last: the user's code may run when the protocol is released.
        install(nil)
    }

    func end(with error: (any Error)?) {
        if !state.isLost {
            if lossError == nil { lossError = error }
            // The peer must not take what it has received for the whole.
            if outstandingBytes > 0 { driver.resetOnClose() }
        }
        perform(state.failed())
    }

    // MARK: Carrying out

    func perform(_ actions: StreamTransportState.Actions) {
        if actions.isEmpty { return }
        if actions.contains(.stopReading) { driver.stopReading() }
        if actions.contains(.startReading) { if isPush || state.life == .lingering { driver.startReading() } }
        if actions.contains(.discardQueue) { queue.removeAll() }
        if actions.contains(.pauseWriting) { callConsumer("pauseWriting") { try $0.pauseWriting() } }
        if actions.contains(.resumeWriting) { callConsumer("resumeWriting") { try $0.resumeWriting() } }
        if actions.contains(.shutdownWrite) { driver.shutdownWrite() }
        if actions.contains(.lose) { lose() }
    }

    /// Ends the connection, once. The protocol is notified in the next iteration, as in asyncio, so never within one of
    /// its own calls.
    private func lose() {
        if let closingTimer { loop.cancelCallback(closingTimer) }
        driver.detach()
        wakeTasks()
        guard consumer != nil else {
            return finish()
        }
        callSoon { [self] in
            state.reportedLoss()
            callConsumer("connectionLost") { try $0.connectionLost(lossError) }
            finish()
        }
    }

    /// Resumes the tasks that wait for the connection; they find out why they cannot continue.
    func wakeTasks() {
        readWaiter.end(on: loop)
        writeWaiter.end(on: loop)
        endWriteWaits()
    }

    private func finish() {
        // The loop may have been closed meanwhile.
        guard state.life != .closed else { return }
        state.closedDescriptor()
        driver.close()
        connectionOrigin?.connectionEnded()
        // Last: the user's code may run when the protocol is released.
        install(nil)
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

extension StreamTransport: CustomStringConvertible {
    /// The descriptor, the addresses and the state, such as
    /// `<StreamTransport fd=7 127.0.0.1:80 -> 127.0.0.1:50000, open, write buffer 0 bytes>`.
    ///
    /// The state is included only on the loop's thread.
    /// - Thread: any.
    public var description: String { "<StreamTransport \(summary)>" }

    var summary: String {
        let addresses =
            "\(localAddress?.description ?? "no address") -> \(peerAddress?.description ?? "an unknown peer")"
        guard loop.isOnLoop else { return "\(addresses), on another thread's loop" }
        guard let openSocket else { return "\(addresses), closed\(lossError.map { ": \($0)" } ?? "")" }
        var text = "fd=\(openSocket.number) \(addresses), \(state.isClosing ? "closing" : "open")"
        if state.reading == .atEOF { text += ", EOF received" }
        if state.reading == .paused { text += ", reading paused" }
        if state.writing != .open { text += ", write side shut down" }
        return text + ", write buffer \(writeBufferBytes) bytes"
    }
}

/// Notifies the loop that another thread has released the last stream of a connection.
private final class AbandonedTransport: LoopMessage {
    // SAFETY: used on the loop only.
    nonisolated(unsafe) private let transport: StreamTransport

    init(_ transport: StreamTransport) {
        self.transport = transport
    }

    override func deliver(on loop: EventLoop) {
        transport.abandoned()
    }
}
