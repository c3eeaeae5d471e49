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
    let driver: StreamDriver
    @exclusivity(unchecked) var readWaiter = StreamWaiter()
    @exclusivity(unchecked) var state = StreamTransportState()
    // Small fields stand where alignment leaves room, here and below, because every connection has them.
    @exclusivity(unchecked) private(set) var sawEnd = false
    /// Whether it was made for a protocol.
    let isPush: Bool
    private var loss = Loss.none
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
    /// Why the connection was lost; `nil` for a clean end.
    @exclusivity(unchecked) private(set) var lossError: (any Error)?
    /// Bounds a close that waits for the peer to take what is left.
    var closingTimer: SlotID? {
        get { storedClosingTimer.id }
        set { storedClosingTimer.id = newValue }
    }
    private var storedClosingTimer = StoredSlotID()

    /// How far the end of the connection has come.
    private enum Loss: UInt8 {
        case none
        /// The driver is detached.
        case happened
        /// The protocol was notified, or is being notified. A task's connection has none.
        case known
        case socketClosed
    }

    package init(
        loop: EventLoop, driver: StreamDriver, consumer: (any StreamProtocol)?, peerAddress: SocketAddress?,
        server: Server? = nil, origin: CallSite? = nil
    ) {
        self.loop = loop
        self.driver = driver
        self.consumer = consumer
        bufferedConsumer = consumer as? any BufferedStreamProtocol
        isPush = consumer != nil
        self.peerAddress = peerAddress ?? driver.socket.peerAddress
        connectionOrigin = server?.connectionOrigin ?? origin.map { ConnectionOrigin($0) }
        localAddress = driver.socket.localAddress
        driver.transport = self
        server?.connectionBegan()
    }

    /// The call that opened the connection, or that created its server.
    var origin: CallSite? { connectionOrigin?.site }

    /// The server that accepted the connection, if it still exists.
    var server: Server? { connectionOrigin?.server }

    private var wasLost: Bool { loss != .none }

    /// Whether the protocol knows of the loss.
    var isLossKnown: Bool { loss == .known || loss == .socketClosed }

    /// Tells the protocol of the connection, and reads from the next tick on. asyncio: `_SelectorSocketTransport.__init__`.
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

    /// The protocol that receives the data; `nil` where a task reads, and after `connectionLost`. asyncio: `get_protocol`,
    /// `set_protocol`.
    ///
    /// A new protocol, of either kind, receives what comes from then on; its `connectionMade` is not called. Set within
    /// `bufferUpdated`, it receives what followed in the same piece too. After the connection was lost nothing happens.
    /// Setting it traps on a connection whose bytes a task reads by a `StreamReader`, and `nil` traps too.
    /// - Thread: the loop's.
    public var `protocol`: (any StreamProtocol)? {
        get {
            loop.requireOnLoop("StreamTransport.protocol")
            return (consumer as? Discarder)?.former ?? consumer
        }
        set {
            loop.requireOnLoop("StreamTransport.protocol")
            guard let newValue else { fatalError("the protocol of a connection was set to nil") }
            if !isPush { fatalError("the protocol of a connection was set whose bytes a StreamReader takes") }
            if consumer == nil { return }
            if let discarder = consumer as? Discarder {
                discarder.replaceFormer(by: newValue)
            } else {
                install(newValue)
            }
        }
    }

    func install(_ consumer: (any StreamProtocol)?) {
        let former = self.consumer.take()
        self.consumer = consumer
        bufferedConsumer = consumer as? any BufferedStreamProtocol
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
    @discardableResult
    func received(_ bytes: UnsafeRawBufferPointer) -> Int {
        if bufferedConsumer != nil { return copyIntoBuffers(bytes) }
        guard let consumer else { return bytes.count }
        do {
            try consumer.dataReceived(bytes.bytes)
        } catch {
            consumerFailed("dataReceived", error)
        }
        return bytes.count
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

    /// Bytes came into the memory of `lender`, which may have ended the connection or made way for another meanwhile.
    func filledBuffer(of lender: any BufferedStreamProtocol, _ byteCount: Int) {
        guard state.acceptsInput else { return }
        do {
            try lender.bufferUpdated(byteCount: byteCount)
        } catch {
            consumerFailed("bufferUpdated", error)
        }
    }

    /// The peer's end came, in push style.
    func receivedEnd() {
        guard state.acceptsInput, !sawEnd else { return }
        sawEnd = true
        var staysOpen = false
        callConsumer("eofReceived") { staysOpen = try $0.eofReceived() }
        if !staysOpen { endsNow(by: .peerEOF) }
        perform(state.receivedEnd(staysOpen: staysOpen, queuedBytes: outstandingBytes))
        boundClosing()
    }

    /// The peer's end was read, in pull style: the writing direction stays open until the writer is closed.
    func pulledEnd() {
        guard !sawEnd else { return }
        sawEnd = true
        perform(state.receivedEnd(staysOpen: true, queuedBytes: outstandingBytes))
    }

    func failed(_ errno: Errno, operation: String) {
        end(with: IOError(errno, operation: operation, address: peerAddress))
    }

    /// Pull style: a receive may go on. The job of the task that waits for it.
    func becameReadable() -> UnownedJob? {
        readWaiter.endReturningJob(on: loop)
    }

    /// A send may go on.
    func becameWritable(returningJob: Bool) -> UnownedJob? {
        flushQueue()
        guard queue.isEmpty else { return nil }
        if returningJob { return writeWaiter.endReturningJob(on: loop) }
        writeWaiter.end(on: loop)
        return nil
    }

    /// The driver has sent some of what it had taken.
    func flushed() {
        perform(state.flushed(queuedBytes: outstandingBytes))
    }

    // MARK: Ending

    /// Sends what is queued, then ends the connection and tells the protocol. Idempotent. asyncio: `close`.
    ///
    /// What a task is writing is sent too, see ``StreamWriter/close()``; reading ends at once.
    ///
    /// A peer that does not read keeps it waiting: when nothing could be sent for a minute, the rest is dropped and the
    /// connection is reset, with an `IOError`. ``closeGracefully(within:discardingAtMost:)``, ``abort()`` and
    /// `Server.drain` have bounds of the caller's. Input that nobody has read costs the peer what is still on its way:
    /// see ``closeGracefully(within:discardingAtMost:)``.
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

    /// Ends the connection now, and lets the peer know that it was broken off: it reads an error, not an end, and so does
    /// not take half an answer for a whole one. asyncio has no such call.
    public func reset() {
        loop.requireOnLoop("StreamTransport.reset")
        endsNow(by: .reset)
        if !wasLost { driver.resetOnClose() }
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

    /// Sends what is queued and then the end of the writing direction; reading goes on. Idempotent. asyncio: `write_eof`.
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
        if let id = driver.id { loop.abandonSource(id) }
    }

    /// The last reference of a task's reader and writer is gone.
    func abandoned() {
        if loop.core.pointee.debug.isOn, !state.isClosing {
            loop.warn(LoopWarning(.unclosed, "\(driver.label) was released without close()", callSite: origin))
        }
        close()
        boundAbandoned()
    }

    /// The loop was closed: free the socket, call nobody.
    func loopClosed() {
        let wasLost = wasLost
        loss = .socketClosed
        if !wasLost {
            lossError = EventLoopError.closed
            if outstandingBytes > 0 { driver.resetOnClose() }
            _ = state.failed()
            queue.removeAll()
            readWaiter = StreamWaiter()
            writeWaiter = StreamWaiter()
        }
        driver.closeSocket()
        // Last: the user's code may run when the protocol is released.
        install(nil)
    }

    func end(with error: (any Error)?) {
        if !wasLost {
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
        if actions.contains(.startReading) { if consumer != nil { driver.startReading() } }
        if actions.contains(.discardQueue) { queue.removeAll() }
        if actions.contains(.pauseWriting) { callConsumer("pauseWriting") { try $0.pauseWriting() } }
        if actions.contains(.resumeWriting) { callConsumer("resumeWriting") { try $0.resumeWriting() } }
        if actions.contains(.shutdownWrite) { driver.shutdownWrite() }
        if actions.contains(.lose) { lose() }
    }

    /// Happens once. The protocol hears of it in the next tick, as in asyncio, so never from within one of its own calls.
    private func lose() {
        loss = .happened
        if let closingTimer { loop.cancelCallback(closingTimer) }
        driver.detach()
        wakeTasks()
        guard consumer != nil else {
            loss = .known
            return finish()
        }
        callSoon { [self] in
            loss = .known
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
        loss = .socketClosed
        driver.closeSocket()
        server?.connectionEnded()
        // Last: the user's code may run when the protocol is released.
        install(nil)
    }
}

extension StreamTransport: SocketOwner {
    var eventLoop: EventLoop { loop }

    var openSocket: Socket? {
        loop.requireOnLoop("TransportSocket")
        return loss == .socketClosed ? nil : driver.socket
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
        if sawEnd { text += ", EOF received" }
        if state.reading == .paused { text += ", reading paused" }
        if state.writing != .open { text += ", write side shut down" }
        return text + ", write buffer \(writeBufferSize) bytes"
    }
}
