public import AsyncIOSystem
import SystemPackage

/// One connection: it moves bytes between a socket and its consumer. asyncio: `Transport`.
///
/// The consumer is a ``StreamProtocol``, or the task that holds the connection's `StreamReader` and `StreamWriter`. Not
/// `Sendable`: all calls belong to the loop's thread and stop the program elsewhere.
public final class StreamTransport {
    /// The loop whose thread everything here happens on.
    public let loop: EventLoop
    /// The address of this end, as it was when the connection began. asyncio: `get_extra_info("sockname")`.
    public let localAddress: SocketAddress?
    /// The address of the peer. asyncio: `get_extra_info("peername")`.
    public let peerAddress: SocketAddress?

    let driver: StreamDriver
    @exclusivity(unchecked) var state = StreamTransportState()
    @exclusivity(unchecked) var queue = WriteQueue()
    /// `nil` where a task takes the bytes itself.
    @exclusivity(unchecked) private var consumer: (any StreamProtocol)?
    /// Who counts the connections of a server.
    private weak var server: Server?
    /// Why the connection was lost; `nil` for a clean end.
    @exclusivity(unchecked) private(set) var lossError: (any Error)?
    private var wasLost = false
    @exclusivity(unchecked) private(set) var sawEnd = false

    @exclusivity(unchecked) var readWaiter: WaiterToken?
    @exclusivity(unchecked) var writeWaiter: WaiterToken?

    package init(
        loop: EventLoop, driver: StreamDriver, consumer: (any StreamProtocol)?, peerAddress: SocketAddress?,
        server: Server? = nil
    ) {
        self.loop = loop
        self.driver = driver
        self.consumer = consumer
        self.peerAddress = peerAddress ?? driver.socket.peerAddress
        self.server = server
        localAddress = driver.socket.localAddress
        driver.transport = self
        server?.connectionBegan(self)
    }

    /// Tells the protocol of the connection, and reads from the next tick on. asyncio: `_SelectorSocketTransport.__init__`.
    package func start() {
        loop.callSoon { [self] in
            // Also when it was lost meanwhile: `connectionLost` is queued behind this.
            callConsumer("connectionMade") { try $0.connectionMade(self) }
            loop.callSoon { [self] in perform(state.started()) }
        }
    }

    // MARK: The consumer

    /// The protocol that gets the data. Changing it takes effect at the next event. asyncio: `get_protocol`, `set_protocol`.
    public var `protocol`: (any StreamProtocol)? {
        get {
            loop.requireOnLoop("StreamTransport.protocol")
            return consumer
        }
        set {
            loop.requireOnLoop("StreamTransport.protocol")
            consumer = newValue
        }
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
    private func consumerFailed(_ method: StaticString, _ error: any Error) {
        loop.callExceptionHandler(
            ExceptionContext(message: "\(method) of a stream protocol failed", error: error, transport: self))
        end(with: error)
    }

    // MARK: Events of the driver

    /// Bytes came for the protocol.
    func received(_ bytes: UnsafeRawBufferPointer) {
        guard let consumer else { return }
        do {
            try consumer.dataReceived(bytes.bytes)
        } catch {
            consumerFailed("dataReceived", error)
        }
    }

    /// The peer's end came, in push style.
    func receivedEnd() {
        guard state.life == .open, !sawEnd else { return }
        sawEnd = true
        var staysOpen = false
        callConsumer("eofReceived") { staysOpen = try $0.eofReceived() }
        perform(state.receivedEnd(staysOpen: staysOpen, queuedBytes: writeBufferSize))
    }

    /// The peer's end was read, in pull style: the writing direction stays open until the writer is closed.
    func pulledEnd() {
        guard !sawEnd else { return }
        sawEnd = true
        perform(state.receivedEnd(staysOpen: true, queuedBytes: writeBufferSize))
    }

    func failed(_ errno: Errno, operation: String) {
        end(with: IOError(errno, operation: operation, address: peerAddress))
    }

    /// Pull style: a receive may go on. The job of the task that waits for it.
    func becameReadable() -> UnownedJob? {
        guard let token = readWaiter.take() else { return nil }
        return loop.settleReturningJob(token)
    }

    /// A send may go on.
    func becameWritable(returningJob: Bool) -> UnownedJob? {
        flushQueue()
        guard queue.isEmpty, let token = writeWaiter.take() else { return nil }
        if returningJob { return loop.settleReturningJob(token) }
        loop.settle(token, .ready)
        return nil
    }

    /// The driver has sent some of what it had taken.
    func flushed() {
        perform(state.flushed(queuedBytes: writeBufferSize))
    }

    // MARK: Writing

    /// Sends `bytes`, or what cannot be sent now later, in order. Never blocks. asyncio: `write`.
    ///
    /// After `close()`, `abort()` or a loss the bytes are dropped, since nobody will read them; after `writeEOF()` they
    /// are dropped and reported.
    public func write(_ bytes: RawSpan) {
        bytes.withUnsafeBytes { write($0) }
    }

    public func write(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { write($0) }
    }

    /// Sends the UTF-8 bytes of `text`.
    public func write(_ text: String) {
        write(text.utf8.span.bytes)
    }

    /// Sends several pieces as one. asyncio: `writelines`.
    public func write(contentsOf pieces: some Sequence<[UInt8]>) {
        write([UInt8](pieces.joined()))
    }

    private func write(_ bytes: UnsafeRawBufferPointer) {
        loop.requireOnLoop("StreamTransport.write")
        guard state.acceptsWrites else { return dropped(bytes.count) }
        if bytes.isEmpty { return }
        var taken = 0
        if queue.isEmpty {
            switch driver.send(bytes) {
            case .bytes(let count): taken = count
            case .wouldBlock: break
            case .failed(let error): return failed(error, operation: "send to")
            }
            if taken == bytes.count {
                if driver.unsentBytes > 0 { perform(state.queued(queuedBytes: writeBufferSize)) }
                return
            }
        }
        queue.append(UnsafeRawBufferPointer(rebasing: bytes[taken...]))
        perform(state.queued(queuedBytes: writeBufferSize))
    }

    private func dropped(_ count: Int) {
        guard state.life == .open, count > 0 else { return }
        loop.callExceptionHandler(
            ExceptionContext(message: "write after writeEOF: \(count) bytes were dropped", transport: self))
    }

    private func flushQueue() {
        if queue.isEmpty && !state.isClosing && !state.isWriterPaused && state.writing != .ending { return }
        while !queue.isEmpty {
            let bytes = queue.bytes
            switch driver.send(bytes) {
            case .bytes(let count):
                queue.removeFirst(count)
                // A short send: the driver tells when there is room again.
                if count < bytes.count { return perform(state.flushed(queuedBytes: writeBufferSize)) }
            case .wouldBlock:
                return perform(state.flushed(queuedBytes: writeBufferSize))
            case .failed(let error):
                return failed(error, operation: "send to")
            }
        }
        perform(state.flushed(queuedBytes: writeBufferSize))
    }

    // MARK: Ending

    /// Sends what is queued, then ends the connection and tells the protocol. Idempotent. asyncio: `close`.
    public func close() {
        loop.requireOnLoop("StreamTransport.close")
        perform(state.closed(queuedBytes: writeBufferSize))
        // What is queued may take as long as the peer likes; tasks have nothing to wait for any more.
        wakeTasks()
    }

    /// Ends the connection now; what is queued is dropped. Idempotent. asyncio: `abort`.
    public func abort() {
        loop.requireOnLoop("StreamTransport.abort")
        end(with: nil)
    }

    /// Ends the connection now, and lets the peer know that it was broken off: it reads an error, not an end, and so does
    /// not take half an answer for a whole one. asyncio has no such call.
    public func reset() {
        loop.requireOnLoop("StreamTransport.reset")
        if !wasLost { driver.socket.resetOnClose() }
        end(with: nil)
    }

    /// Whether the connection is being closed, or is. asyncio: `is_closing`.
    public var isClosing: Bool {
        loop.requireOnLoop("StreamTransport.isClosing")
        return state.isClosing
    }

    /// Sends what is queued and then the end of the writing direction; reading goes on. Idempotent. asyncio: `write_eof`.
    public func writeEOF() {
        loop.requireOnLoop("StreamTransport.writeEOF")
        perform(state.endedWriting(queuedBytes: writeBufferSize))
    }

    /// The loop was closed: free the socket, call nobody.
    func loopClosed() {
        guard !wasLost else { return driver.closeSocket() }
        wasLost = true
        lossError = EventLoopError.closed
        consumer = nil
        _ = state.failed()
        queue.removeAll()
        readWaiter = nil
        writeWaiter = nil
        driver.closeSocket()
    }

    func end(with error: (any Error)?) {
        if lossError == nil, !wasLost { lossError = error }
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
        wasLost = true
        driver.detach()
        wakeTasks()
        guard consumer != nil else { return finish() }
        loop.callSoon { [self] in
            callConsumer("connectionLost") { try $0.connectionLost(lossError) }
            finish()
        }
    }

    /// Tasks that wait go on, and find out why they cannot.
    private func wakeTasks() {
        if let token = readWaiter.take() { loop.settle(token, .ready) }
        if let token = writeWaiter.take() { loop.settle(token, .ready) }
    }

    private func finish() {
        consumer = nil
        driver.closeSocket()
        server?.connectionEnded(self)
    }
}
