public import AsyncIOSystem
import Synchronization
import SystemPackage

/// One connection: it moves bytes between a socket and its consumer. asyncio: `Transport`.
///
/// The consumer is a ``StreamProtocol``, or the task that holds the connection's `StreamReader` and `StreamWriter`. Not
/// `Sendable`: all calls belong to the loop's thread and stop the program elsewhere.
public final class StreamTransport {
    // What every message touches comes first, in few cache lines.

    /// `nil` where a task takes the bytes itself.
    @exclusivity(unchecked) private(set) var consumer: (any StreamProtocol)?
    /// The consumer, if it lends memory.
    @exclusivity(unchecked) private(set) var bufferedConsumer: (any BufferedStreamProtocol)?
    /// The loop whose thread everything here happens on.
    public let loop: EventLoop
    @exclusivity(unchecked) private var heldDriver: Retained<StreamDriver>
    @exclusivity(unchecked) var readWaiter = StreamWaiter()
    @exclusivity(unchecked) var state = StreamTransportState()
    // Small fields stand where alignment leaves room, here and below, because every connection has them.
    /// Whether it was created for a protocol.
    let isPush: Bool
    /// How many of the two streams exist: the reader and the writer.
    private let streamCount = Atomic<UInt8>(0)
    /// All bytes of tasks' writes that went out. Changed by the loop's thread only; others may read it.
    let writtenBytes = Atomic<Int>(0)
    @exclusivity(unchecked) var queue = WriteQueue()
    @exclusivity(unchecked) var turn = WriteTurn.free
    @exclusivity(unchecked) var writeWaiter = StreamWaiter()

    /// The address of this end, as it was when the connection began. asyncio: `get_extra_info("sockname")`.
    public let localAddress: SocketAddress?
    /// What ended the connection first, a call of this program or the peer's EOF. `nil` after a loss.
    var ending: Ending?
    /// The address of the peer. asyncio: `get_extra_info("peername")`.
    public let peerAddress: SocketAddress?
    /// Whether a write that was dropped has been reported.
    var hasReportedDrop = false
    private let connectionOrigin: ConnectionOrigin?
    /// The source that the last release of the streams, on any thread, is reported to.
    private let sourceID: StoredSlotID
    /// Why the connection was lost; `nil` for a clean end.
    @exclusivity(unchecked) private(set) var lossError: (any Error)?
    /// Bounds a close that waits for the peer to take what is left.
    var closingTimer: SlotID? {
        get { storedClosingTimer.id }
        set { storedClosingTimer.id = newValue }
    }
    private var storedClosingTimer = StoredSlotID()

    init(
        loop: EventLoop, driver: StreamDriver, consumer: (any StreamProtocol)?, peerAddress: SocketAddress?,
        acceptedBy origin: ConnectionOrigin
    ) {
        self.loop = loop
        self.consumer = consumer
        bufferedConsumer = consumer as? any BufferedStreamProtocol
        isPush = consumer != nil
        self.peerAddress = peerAddress ?? driver.channel.peerAddress
        localAddress = driver.channel.localAddress
        connectionOrigin = origin
        heldDriver = Retained(driver)
        sourceID = StoredSlotID(driver.rootID)
        driver.delegate = self
        driver.lendsMemory = bufferedConsumer != nil
        origin.owner?.connectionBegan()
    }

    package init(
        loop: EventLoop, driver: StreamDriver, consumer: (any StreamProtocol)?, peerAddress: SocketAddress?,
        origin: CallSite? = nil
    ) {
        self.loop = loop
        self.consumer = consumer
        bufferedConsumer = consumer as? any BufferedStreamProtocol
        isPush = consumer != nil
        self.peerAddress = peerAddress ?? driver.channel.peerAddress
        localAddress = driver.channel.localAddress
        connectionOrigin = origin.map { ConnectionOrigin($0) }
        heldDriver = Retained(driver)
        sourceID = StoredSlotID(driver.rootID)
        driver.delegate = self
        driver.lendsMemory = bufferedConsumer != nil
    }

    /// The call that opened the connection, or that created its server.
    var origin: CallSite? { connectionOrigin?.site }

    /// What moves the bytes.
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

    /// Whether `origin` is what opened the connection.
    func wasOpened(by origin: ConnectionOrigin) -> Bool { connectionOrigin === origin }

    /// Tells the protocol of the connection, and reads from the next tick on. asyncio:
    /// `_SelectorSocketTransport.__init__`.
    package func start() {
        callSoon { [self] in
            // Also when it was lost meanwhile: `connectionLost` is queued behind this.
            callConsumer("connectionMade") { try $0.connectionMade(self) }
            callSoon { [self] in perform(state.started()) }
        }
    }

    /// One that takes long is reported with the connection's place.
    private func callSoon(_ body: @escaping () -> Void) {
        let site = origin ?? CallSite(fileID: #fileID, line: #line)
        loop.callSoon(fileID: site.fileID, line: site.line, body)
    }

    // MARK: The consumer

    /// The protocol that receives the data; `nil` where a task reads, and after `connectionLost`. asyncio:
    /// `get_protocol`, `set_protocol`.
    ///
    /// A new protocol, of either kind, receives what comes from then on; its `connectionMade` is not called. Set within
    /// `bufferUpdated`, it receives what followed in the same piece too. After the connection was lost nothing happens.
    /// Setting it traps on a connection whose bytes a task reads by a `StreamReader`, and `nil` traps too.
    /// - Thread: the loop's.
    public var `protocol`: (any StreamProtocol)? {
        get {
            loop.requireOnLoop("StreamTransport.protocol")
            return consumer
        }
        set {
            loop.requireOnLoop("StreamTransport.protocol")
            guard let newValue else { fatalError("the protocol of a connection was set to nil") }
            if !isPush { fatalError("the protocol of a connection was set whose bytes a StreamReader takes") }
            if consumer == nil { return }
            install(newValue)
        }
    }

    func install(_ consumer: (any StreamProtocol)?) {
        let former = self.consumer.take()
        self.consumer = consumer
        bufferedConsumer = consumer as? any BufferedStreamProtocol
        driver.lendsMemory = bufferedConsumer != nil
        // Released now: its `deinit` is the user's code, which may use the transport.
        withExtendedLifetime(former) {}
    }

    /// Calls the protocol. What it throws ends this connection, and is reported once.
    @inline(__always)
    private func callConsumer(_ method: StaticString, _ body: (any StreamProtocol) throws -> Void) {
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

    // MARK: Events of the driver

    /// Bytes came for the protocol. How many of them it took: one that lends memory may stop in between.
    package func received(_ bytes: UnsafeRawBufferPointer) -> Int {
        guard state.life == .open else { return discard(bytes.count) }
        if bufferedConsumer != nil { return copyIntoBuffers(bytes) }
        guard let consumer else { return bytes.count }
        do {
            try consumer.dataReceived(bytes.bytes)
        } catch {
            consumerFailed("dataReceived", error)
        }
        return bytes.count
    }

    /// Nobody takes the bytes any more.
    @inline(never)
    private func discard(_ byteCount: Int) -> Int {
        perform(state.discarded(byteCount, queuedBytes: outstandingBytes))
        return byteCount
    }

    private func copyIntoBuffers(_ bytes: UnsafeRawBufferPointer) -> Int {
        var taken = 0
        while taken < bytes.count, state.reading == .active {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[taken...])
            // It may have been exchanged for another one meanwhile.
            guard let bufferedConsumer else { return taken + received(rest) }
            do {
                taken += try bufferedConsumer.copy(rest)
            } catch {
                consumerFailed("bufferUpdated", error)
            }
        }
        return taken
    }

    /// The bytes go into memory of the protocol's, which may end the connection, or make way for another one,
    /// meanwhile.
    package func lend(_ receive: (UnsafeMutableRawBufferPointer) -> Int) -> Bool {
        guard let lender = bufferedConsumer, state.life == .open else { return false }
        do {
            let byteCount = try lender.lend(sizeHintBytes: ReceiveBuffer.byteCount, receive)
            if byteCount == 0 || !state.acceptsInput { return true }
            do {
                try lender.bufferUpdated(byteCount: byteCount)
            } catch {
                consumerFailed("bufferUpdated", error)
            }
        } catch {
            consumerFailed("withReadBuffer", error)
        }
        return true
    }

    /// The peer's EOF was received, in push style.
    package func receivedEOF() {
        guard state.acceptsInput, !state.reading.isOver else { return }
        if state.life == .lingering {
            return perform(state.receivedEnd(staysOpen: false, queuedBytes: outstandingBytes))
        }
        var staysOpen = false
        callConsumer("eofReceived") { staysOpen = try $0.eofReceived() }
        if !staysOpen { endsNow(by: .peerEOF) }
        perform(state.receivedEnd(staysOpen: staysOpen, queuedBytes: outstandingBytes))
        boundClosing()
    }

    /// The peer's end was read, in pull style: the writing direction stays open until the writer is closed.
    func pulledEnd() {
        perform(state.receivedEnd(staysOpen: true, queuedBytes: outstandingBytes))
    }

    package func failed(_ errno: Errno, operation: String) {
        end(with: IOError(errno, operation: operation, address: peerAddress))
    }

    /// Pull style: a receive may go on. The job of the task that waits for it.
    package func becameReadable() -> UnownedJob? {
        readWaiter.endReturningJob(on: loop)
    }

    /// A send may go on.
    package func becameWritable(returningJob: Bool) -> UnownedJob? {
        flushQueue()
        guard queue.isEmpty else { return nil }
        if returningJob { return writeWaiter.endReturningJob(on: loop) }
        writeWaiter.end(on: loop)
        return nil
    }

    /// The driver has sent some of what it had taken.
    package func flushed() {
        perform(state.flushed(queuedBytes: outstandingBytes))
    }

    // MARK: Ending

    /// Sends what is queued, then ends the connection and tells the protocol. Idempotent. asyncio: `close`.
    ///
    /// What a task is writing is sent too, see ``StreamWriter/close()``; reading ends at once.
    ///
    /// A peer that does not read keeps it waiting: when nothing could be sent for a minute, the rest is dropped and the
    /// connection is reset, with an `IOError`. ``closeGracefully(within:maxDiscardedBytes:)``, ``abort()`` and
    /// `Server.drain` have bounds of the caller's. Input that nobody has read costs the peer what is still on its way:
    /// see ``closeGracefully(within:maxDiscardedBytes:)``.
    ///
    /// If a write was cut off, see ``StreamWriter/write(_:)-(RawSpan)``, the connection is reset.
    public func close() {
        loop.requireOnLoop("StreamTransport.close")
        if state.writing == .cutOff { return reset() }
        endsNow(by: .close)
        perform(state.closed(queuedBytes: outstandingBytes))
        boundClosing()
        // What is still to go out may take as long as the peer likes; other tasks have nothing to wait for any more.
        wakeTasks()
    }

    /// Ends the connection now; what is queued is dropped. Idempotent. asyncio: `abort`.
    ///
    /// If that drops something, or a write was cut off, the connection is reset, so that the peer does not take a part
    /// for the whole; else the peer reads EOF.
    public func abort() {
        loop.requireOnLoop("StreamTransport.abort")
        endsNow(by: .abort)
        end(with: nil)
    }

    /// Ends the connection now, and lets the peer know that it was broken off: it reads an error, not an end, and so
    /// does not take half an answer for a whole one. asyncio has no such call.
    public func reset() {
        loop.requireOnLoop("StreamTransport.reset")
        endsNow(by: .reset)
        if !state.isLost { driver.resetOnClose() }
        end(with: nil)
    }

    /// Whether the connection is being closed, or is. asyncio: `is_closing`.
    public var isClosing: Bool {
        loop.requireOnLoop("StreamTransport.isClosing")
        return state.isClosing
    }

    /// Whether ``writeEOF()`` is possible: always, for a socket. asyncio: `can_write_eof`.
    public var canWriteEOF: Bool { true }

    /// The socket, for its options. asyncio: `get_extra_info("socket")`.
    public var socket: TransportSocket { TransportSocket(self) }

    /// Sends what is queued and then the end of the writing direction; reading goes on. Idempotent. asyncio:
    /// `write_eof`.
    ///
    /// If a write was cut off, the connection is reset instead.
    public func writeEOF() {
        loop.requireOnLoop("StreamTransport.writeEOF")
        if state.writing == .cutOff { return reset() }
        perform(state.endedWriting(queuedBytes: outstandingBytes))
    }

    /// A reader or a writer was created.
    func retainStreams() {
        streamCount.add(1, ordering: .relaxed)
    }

    /// The reader or the writer is released. The connection ends when both are.
    ///
    /// - Thread: any.
    func releaseStreams() {
        guard streamCount.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 else { return }
        if let id = sourceID.id { loop.abandonSource(id) }
    }

    /// The last reference of a task's reader and writer is gone.
    package func abandoned() {
        if loop.core.pointee.debug.isOn, !state.isClosing {
            loop.warn(LoopWarning(.unclosed, "\(driver.label) was released without close()", callSite: origin))
        }
        close()
        boundAbandoned()
    }

    /// The loop was closed: free the socket, call nobody.
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
            // The peer must not take what it has got for the whole.
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

    /// Happens once. The protocol hears of it in the next tick, as in asyncio, so never from within one of its own
    /// calls.
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

    /// Tasks that wait go on, and find out why they cannot.
    func wakeTasks() {
        readWaiter.end(on: loop)
        writeWaiter.end(on: loop)
        closeLine()
    }

    private func finish() {
        // The loop may have been closed meanwhile.
        guard state.life != .closed else { return }
        state.closedDescriptor()
        driver.close()
        connectionOrigin?.owner?.connectionEnded()
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

extension StreamTransport: StreamDriverDelegate {
    package var connection: ConnectionReport {
        ConnectionReport(
            label: "a connection with \(peerAddress?.description ?? "an unknown peer")", origin: origin,
            isLeftOpen: !state.isClosing)
    }
}

@available(*, unavailable, message: "a transport belongs to its loop; use it in callbacks and tasks of the loop")
extension StreamTransport: Sendable {}

extension StreamTransport: CustomStringConvertible {
    /// The descriptor, the addresses and the state, such as
    /// `<StreamTransport fd=7 127.0.0.1:80 -> 127.0.0.1:50000, open, write buffer 0 bytes>`.
    ///
    /// The state is said on the loop's thread only.
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
