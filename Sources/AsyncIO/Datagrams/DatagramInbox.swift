import AsyncIOSystem

/// The protocol of an endpoint whose datagrams tasks receive: it stores them, up to a limit.
///
/// At the limit the endpoint stops receiving, and the kernel drops what it has no room for. The datagrams of the batch
/// that exceeds the limit are stored too.
final class DatagramInbox: DatagramProtocol {
    /// Errors of the network that are stored. Later ones are dropped until a task has received these.
    private static let mostErrors = 16

    private let limitBytes: Int
    @exclusivity(unchecked) private var queue = DatagramQueue()
    @exclusivity(unchecked) private var isReadingPaused = false
    @exclusivity(unchecked) private var errors: [IOError] = []
    // Released after `connectionLost`, and by the loop's close.
    private var transport: DatagramTransport?
    private(set) var hasEnded = false
    private(set) var lossError: (any Error)?
    @exclusivity(unchecked) private var readWaiter: WaiterToken?
    @exclusivity(unchecked) private(set) var isWritingPaused = false
    /// The tasks that wait to send, or for the end.
    private var waiters: [WaiterToken] = []

    init(limitBytes: Int) {
        self.limitBytes = limitBytes
    }

    // MARK: Events

    func connectionMade(_ transport: DatagramTransport) { self.transport = transport }

    /// Not called: the transport calls `store`, which converts no address.
    func datagramReceived(_ data: RawSpan, from address: SocketAddress?) {
        data.withUnsafeBytes { queue.append($0, to: address) }
        pauseAtLimit()
    }

    /// - Parameter sender: The C structure of the address; empty for none.
    func store(_ bytes: UnsafeRawBufferPointer, sender: UnsafeRawBufferPointer) {
        queue.append(bytes, address: sender)
        pauseAtLimit()
    }

    @inline(__always) private func pauseAtLimit() {
        if queue.byteCount > limitBytes, !isReadingPaused { pauseReading() }
    }

    @inline(never) private func pauseReading() {
        isReadingPaused = true
        transport?.pauseReading()
    }

    @inline(never) private func resumeReading() {
        isReadingPaused = false
        transport?.resumeReading()
    }

    func errorReceived(_ error: IOError) {
        if errors.count < Self.mostErrors { errors.append(error) }
        wakeReader()
    }

    func pauseWriting() { isWritingPaused = true }

    func resumeWriting() {
        isWritingPaused = false
        wakeWaiters()
    }

    func connectionLost(_ error: (any Error)?) {
        hasEnded = true
        lossError = error
        wakeReader()
        wakeWaiters()
        transport = nil
    }

    // MARK: Receiving

    var hasDatagrams: Bool { !queue.isEmpty }
    var count: Int { queue.count }

    @inline(__always)
    func take<Result>(_ body: (UnsafeRawBufferPointer, SocketAddress?) -> Result) -> Result? {
        if queue.isEmpty { return nil }
        let (bytes, address) = queue.first
        let result = body(bytes, address.baseAddress.flatMap { SocketAddress(at: $0, byteCount: address.count) })
        queue.removeFirst()
        if isReadingPaused, queue.byteCount <= limitBytes { resumeReading() }
        return result
    }

    func takeError() -> IOError? { errors.isEmpty ? nil : errors.removeFirst() }

    /// Suspends the task until there is something to receive. It is on its loop, and no other task waits.
    func waitToReceive(_ loop: EventLoop, _ record: TaskRecord?) async throws {
        guard readWaiter == nil else { throw EventLoopError.busy("receive from this endpoint") }
        let token = loop.makeWaiter()
        readWaiter = token
        let outcome = await loop.suspend(token, record)
        readWaiter = nil
        try loop.check(outcome)
    }

    func takeWaitingJob(on loop: EventLoop) -> UnownedJob? {
        readWaiter.flatMap { loop.settleReturningJob($0) }
    }

    private func wakeReader() {
        if let readWaiter { transport?.loop.settle(readWaiter, .ready) }
    }

    // MARK: Sending and ending

    /// Suspends the task until sending may continue, or the endpoint has ended. It is on its loop.
    func waitForChange(_ loop: EventLoop, _ record: TaskRecord?) async throws {
        let token = loop.makeWaiter()
        waiters.append(token)
        let outcome = await loop.suspend(token, record)
        waiters.removeAll { $0 == token }
        try loop.check(outcome)
    }

    private func wakeWaiters() {
        let woken = waiters
        waiters = []
        for waiter in woken { transport?.loop.settle(waiter, .ready) }
    }
}
