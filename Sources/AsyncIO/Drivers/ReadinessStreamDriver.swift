package import AsyncIOSystem
package import CAsyncIO
import Selectors
package import SystemPackage

/// Calls the kernel when the selector says that it would not block.
///
/// The socket is registered once, edge-triggered, so that no message costs a registration. The price is that readiness must be
/// remembered here: the selector reports it once, and it lasts until a call would block. The socket is watched for writing only
/// from the first send that would block. Until then the selector would report with each piece of a large message that the
/// socket is still writable.
///
/// A receive that fills less than the buffer has emptied the socket, which saves the call that would find that out. Not so
/// after a hang-up was told, since the end that follows the bytes has no event of its own any more, nor after urgent data
/// was told, since a receive stops in front of it.
///
/// Where the selector knows only levels, it would tell again and again what nobody wants to know now: bytes that nobody reads, an
/// end that stays, room that nobody fills. So `interest` is narrowed by an event that brings no news, and widened
/// when a call would block: none of it happens while one message follows the other. The rule for both directions:
/// what is not watched is ready, as far as is known here.
package class ReadinessStreamDriver: StreamDriver {
    // SAFETY: the loop holds its drivers; a driver that it let go is held by a transport, which holds the loop.
    private unowned(unsafe) let loop: SelectorEventLoop
    @exclusivity(unchecked) private var isWritable = true
    /// Whether a short receive may leave bytes behind, or an end, that no further event tells of.
    @exclusivity(unchecked) private var mustReadOn = false
    @exclusivity(unchecked) private var isPushing = false
    /// What the selector watches for.
    @exclusivity(unchecked) private var interest: Interest = []
    @exclusivity(unchecked) private var isWatched = false
    @exclusivity(unchecked) private var isClosed = false
    @exclusivity(unchecked) private var readingShare = TickShare()
    @exclusivity(unchecked) private var writingShare = TickShare()

    package init(loop: SelectorEventLoop, socket: Socket) {
        self.loop = loop
        super.init(socket: socket)
        isReadable = false
    }

    // MARK: System calls, for tests to script

    // As those of `Socket`, which are not inlined across modules.

    package func systemReceive(into buffer: UnsafeMutableRawBufferPointer) -> IOResult {
        guard let base = buffer.baseAddress else { return .bytes(0) }
        let count = aio_receive(socket.number, base, buffer.count)
        return count >= 0 ? .bytes(count) : IOResult(cResult: count)
    }

    package func systemSend(_ bytes: UnsafeRawBufferPointer) -> IOResult {
        guard let base = bytes.baseAddress else { return .bytes(0) }
        let count = aio_send(socket.number, base, bytes.count)
        return count >= 0 ? .bytes(count) : IOResult(cResult: count)
    }

    package func systemSend(_ pieces: UnsafeBufferPointer<iovec>) -> IOResult { socket.send(pieces) }

    // MARK: Registration

    package final func startWatching() throws(Errno) {
        _ = loop.register(self)
        isWatched = true
        interest = .read
        do {
            try loop.watch(socket.descriptor, self, for: interest, trigger)
        } catch {
            isWatched = false
            throw error
        }
    }

    package final override func detach() {
        guard isWatched else { return }
        isWatched = false
        loop.unwatch(socket.descriptor, self)
    }

    package final override func closeSocket() {
        guard !isClosed else { return }
        isClosed = true
        detach()
        loop.unregister(self)
        closeSocketNow(loop)
        letTransportGo(loop)
    }

    // MARK: Its turn

    package final override func run() -> UnownedJob? {
        let news = readiness
        readiness = []
        if !news.isDisjoint(with: [.hangup, .urgent]) { mustReadOn = true }
        var job: UnownedJob?
        if news.contains(.read) {
            let wasReadable = isReadable
            isReadable = true
            if isPushing {
                push()
            } else {
                job = unretainedTransport?._withUnsafeGuaranteedRef { $0.becameReadable() }
                if wasReadable && job == nil { ignoreRead() }
            }
        }
        if news.contains(.write) {
            if isWritable {
                ignoreWrite(news)
            } else {
                isWritable = true
                let writerJob = unretainedTransport?._withUnsafeGuaranteedRef {
                    $0.becameWritable(returningJob: job == nil)
                }
                job = job ?? writerJob
            }
        }
        return job
    }

    // MARK: Interest

    private final var trigger: Trigger { loop.isEdgeTriggered ? .edge : .level }

    /// An event reported that the socket is readable, although that was known and nobody waits for it.
    @inline(__always)
    private final func ignoreRead() {
        if !loop.isEdgeTriggered { setInterest(interest.subtracting(.read)) }
    }

    /// An event reported that the socket is writable, although that was known. An edge-triggered selector reports it along with
    /// other events too, where it costs nothing.
    private final func ignoreWrite(_ readiness: Readiness) {
        if !loop.isEdgeTriggered || readiness == .write { setInterest(interest.subtracting(.write)) }
    }

    /// A call in `direction` would block: an event must tell when it would not.
    @inline(__always)
    private final func becameUnready(_ direction: Interest) {
        if !interest.contains(direction) { setInterest(interest.union(direction)) }
    }

    @inline(never)
    private final func setInterest(_ wanted: Interest) {
        guard isWatched, wanted != interest else { return }
        do {
            try loop.rewatch(socket.descriptor, self, from: interest, to: wanted, trigger)
            interest = wanted
        } catch {
            // Nobody would be told any more. Not at once: this is in the middle of a call of the transport's.
            loop.callSoon { [self] in transport?.failed(error, operation: "watch the connection to") }
        }
    }

    // MARK: Push

    package final override func startReading() {
        isPushing = true
        if isReadable { readAgain() }
    }

    package final override func stopReading() {
        isPushing = false
    }

    /// One receive per turn, so that one busy peer does not keep the others waiting.
    private final func push() {
        unretainedTransport?._withUnsafeGuaranteedRef { push(to: $0) }
    }

    @inline(__always)
    private final func push(to transport: StreamTransport) {
        if let consumer = transport.bufferedConsumer { return push(into: consumer, transport) }
        let buffer = loop.core.pointee.receiveBuffer.bytes
        let result = systemReceive(into: buffer)
        pushed(result, room: buffer.count, transport) { count in
            transport.received(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        }
    }

    /// The same, into memory of the protocol's.
    private final func push(into consumer: any BufferedStreamProtocol, _ transport: StreamTransport) {
        let (result, room): (IOResult, Int)
        do {
            (result, room) = try consumer.lend(sizeHintBytes: ReceiveBuffer.byteCount) { memory in
                (systemReceive(into: memory), memory.count)
            }
        } catch {
            return transport.consumerFailed("withReadBuffer", error)
        }
        pushed(result, room: room, transport) { count in transport.filledBuffer(of: consumer, count) }
    }

    @inline(__always)
    private final func pushed(_ result: IOResult, room: Int, _ transport: StreamTransport, _ deliver: (Int) -> Void) {
        switch result {
        case .bytes(0):
            // Nothing comes behind an end, so nothing has to be told.
            isReadable = false
            ignoreRead()
            transport.receivedEnd()
        case .bytes(let count):
            loop.core.pointee.budget.use(count)
            if count < room && !mustReadOn { becameUnreadable() }
            deliver(count)
            if isReadable && isPushing { readAgain() }
        case .wouldBlock:
            becameUnreadable()
        case .failed(let error):
            transport.failed(error, operation: "receive from")
        }
    }

    @inline(__always)
    private final func becameUnreadable() {
        isReadable = false
        becameUnready(.read)
    }

    /// Its next turn, without another event.
    private final func readAgain() {
        readiness.insert(.read)
        loop.queue(self)
    }

    // MARK: Pull

    package final override func receive(into buffer: UnsafeMutableRawBufferPointer) -> IOResult {
        guard isReadable else { return .wouldBlock }
        guard readingShare.isLeft(in: loop.core.pointee.tick) else {
            readAgain()
            return .wouldBlock
        }
        guard loop.core.pointee.budget.allowsReceive || takeGrant(.read) else {
            readAgain()
            return .wouldBlock
        }
        let result = systemReceive(into: buffer)
        switch result {
        case .bytes(let count):
            readingShare.use(count)
            loop.core.pointee.budget.use(count)
            if count > 0 && count < buffer.count && !mustReadOn { becameUnreadable() }
        case .wouldBlock:
            becameUnreadable()
        case .failed:
            break
        }
        return result
    }

    package final override func grantsSend(of count: Int) -> Bool {
        guard isWritable else { return false }
        if writingShare.isLeft(in: loop.core.pointee.tick) {
            writingShare.use(count)
            return true
        }
        writeAgain()
        return false
    }

    /// As ``readAgain()``.
    private final func writeAgain() {
        isWritable = false
        readiness.insert(.write)
        loop.queue(self)
    }

    /// Whether a send may begin now; if not, the transport is notified when it may.
    @inline(__always)
    private final func mayStartSending() -> Bool {
        isWritable && (loop.core.pointee.budget.allowsSend || mayOverdraw())
    }

    @inline(never)
    private final func mayOverdraw() -> Bool {
        if takeGrant(.write) { return true }
        writeAgain()
        return false
    }

    /// Whether it has waited for a call in `direction`. For one call.
    @inline(never)
    private final func takeGrant(_ direction: Interest) -> Bool {
        grants.remove(direction) != nil
    }

    package final override func send(_ bytes: UnsafeRawBufferPointer) -> IOResult {
        guard mayStartSending() else { return .wouldBlock }
        let result = systemSend(bytes)
        switch result {
        case .bytes(let count):
            loop.core.pointee.budget.use(count)
            if count < bytes.count { becameUnwritable() }
        case .wouldBlock: becameUnwritable()
        case .failed: break
        }
        return result
    }

    package final override func send(_ pieces: UnsafeBufferPointer<iovec>) -> IOResult {
        guard mayStartSending() else { return .wouldBlock }
        let result = systemSend(pieces)
        switch result {
        case .bytes(let count):
            loop.core.pointee.budget.use(count)
            if count < pieces.byteCount { becameUnwritable() }
        case .wouldBlock: becameUnwritable()
        case .failed: break
        }
        return result
    }

    @inline(__always)
    private final func becameUnwritable() {
        isWritable = false
        becameUnready(.write)
    }

    package override func shutdownWrite() {
        // A connection that is gone already has nothing to end.
        try? socket.shutdownWrite()
    }
}
