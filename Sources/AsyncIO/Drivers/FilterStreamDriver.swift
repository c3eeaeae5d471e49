import AsyncIOSystem
import SystemPackage

/// Moves bytes through a filter. It is a driver to the transport or the filter above it, and the delegate of the driver
/// below, from which it receives when somebody wants bytes, and decodes straight into the memory that wants them.
///
/// It retains three things, each bounded by one buffer: received bytes that the filter has not consumed, decoded bytes
/// that a consumer has not taken because it paused, and encoded bytes that could not be sent.
package final class FilterStreamDriver: StreamDriver {
    // SAFETY: as in `ReadinessStreamDriver`.
    unowned(unsafe) let loop: EventLoop
    package internal(set) var base: StreamDriver
    /// `nil` after the filter was removed. The bytes that are retained here still come first.
    var filter: (any StreamFilter)?

    var input = WriteQueue()
    var decoded = WriteQueue()
    var output = WriteQueue()
    /// Whether the filter has more decoded bytes than had room.
    var hasMore = false
    /// The same for encoded bytes.
    var hasMoreToSend = false
    var isBaseAtEOF = false
    var isAtEOF = false
    /// The bytes of replies that were appended since the output was last sent completely.
    var replyBytes = 0
    /// Whether the filter has appended its last bytes, which nothing may follow.
    var hasFinished = false
    /// Whether EOF is sent when the output is.
    var shutsDown = false
    var failure: (any Error)?
    /// Whether decoded bytes are lent to the consumer, which must not receive others meanwhile.
    private var isDelivering = false
    var establishment: Establishment?
    private var timer: TimerHandle?

    /// A peer that causes replies and does not read them is not received from.
    static let mostReplyBytes = 64 * 1024

    typealias Establishment = (Result<Void, any Error>) -> Void

    /// Puts `filter` above `base`. `start(_:)` follows when both ends are in place.
    package init(over base: StreamDriver, _ filter: any StreamFilter, on loop: EventLoop) {
        self.loop = loop
        self.base = base
        self.filter = filter
        super.init(base.channel)
        loop.register(self)
        base.lendsMemory = false
        base.delegate = self
    }

    var isEstablished: Bool { filter?.isEstablished ?? true }

    @inline(__always)
    func withChunk<Result>(_ size: BufferPool.Size, _ body: (UnsafeMutableRawBufferPointer) -> Result) -> Result {
        let room = loop.chunkPool.take(size)
        defer { loop.chunkPool.put(room, size) }
        return body(UnsafeMutableRawBufferPointer(start: room, count: size.byteCount))
    }

    // MARK: Establishing

    /// Lets the filter send its greeting. `established` is called once, possibly at once.
    func start(timeout: Duration? = nil, _ established: @escaping Establishment) {
        establishment = established
        if !isEstablished, let timeout = filter?.establishmentTimeout ?? timeout {
            timer = loop.callLater(after: timeout) { [unowned self] in
                fail(IOError(.timedOut, operation: "establish the connection to", address: channel.peerAddress))
            }
        }
        _ = decodeRetained()
        establish()
    }

    /// As `start(_:)`, and waits. The task is on its loop.
    func start(_ record: TaskRecord?) async throws {
        let token = loop.makeWaiter()
        var outcome: Result<Void, any Error>?
        start { [loop] result in
            outcome = result
            loop.settle(token, .ready)
        }
        let ended = await loop.suspend(token, record)
        establishment = nil
        guard let outcome else { return try loop.check(ended) }
        try outcome.get()
    }

    /// Lets the filter decode without new input, and retains what it decodes. Returns false if the filter has failed.
    private func decodeRetained() -> Bool {
        withChunk(.medium) { memory in
            guard let step = decode(UnsafeRawBufferPointer(start: nil, count: 0), into: memory) else { return false }
            decoded.append(UnsafeRawBufferPointer(rebasing: memory[..<step.produced]))
            return true
        }
    }

    func establish() {
        while !isEstablished {
            let result = withChunk(.medium) { memory in
                let result = decodeMore(into: memory)
                if case .bytes(let count) = result {
                    decoded.append(UnsafeRawBufferPointer(rebasing: memory[..<count]))
                }
                return result
            }
            switch result {
            case .bytes(0): return failed(.connectionReset, operation: "establish the connection to")
            case .bytes: break
            case .wouldBlock: if !isEstablished { return }
            case .failed(let error): return failed(error, operation: "establish the connection to")
            }
        }
        // What a call has caused may have ended the connection.
        guard failure == nil, phase == .open else { return }
        finishEstablishing(.success(()))
        // Those who wanted to write before.
        _ = heldDelegate.becameWritable(returningJob: false)
    }

    private func finishEstablishing(_ result: Result<Void, any Error>) {
        timer?.cancel()
        timer = nil
        guard let established = establishment.take() else { return }
        established(result)
    }

    func fail(_ error: any Error) {
        if failure != nil { return }
        failure = error
        flush()
        if establishment != nil { return finishEstablishing(.failure(error)) }
        delegate?.ended(with: error)
    }

    // MARK: Receiving

    package override func receive(into buffer: UnsafeMutableRawBufferPointer) -> IOResult {
        guard isEstablished else { return .wouldBlock }
        // A filter may make much of little.
        guard known.readingShare.isLeft(in: loop.core.pointee.tick), !isDelivering else {
            readAgain()
            return .wouldBlock
        }
        if !decoded.isEmpty {
            let count = min(buffer.count, decoded.count)
            buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: decoded.bytes[..<count]))
            decoded.removeFirst(count)
            return .bytes(count)
        }
        let result = decodeMore(into: buffer)
        unlinkIfIdle()
        if case .bytes(let count) = result { known.readingShare.use(count) }
        return result
    }

    package override func startReading() {
        isPushing = true
        readAgain()
    }

    func readAgain() {
        readiness.insert(.read)
        loop.queue(self)
    }

    func push() {
        if !decoded.isEmpty {
            // Out of the object, because the consumer may add or remove a filter.
            var lent = WriteQueue()
            swap(&lent, &decoded)
            deliver(lent.bytes)
            return
        }
        let memory = loop.core.pointee.receiveBuffer
        switch decodeMore(into: memory) {
        case .bytes(0): delegate?.receivedEOF()
        case .bytes(let count): deliver(UnsafeRawBufferPointer(rebasing: memory[..<count]))
        case .wouldBlock: break
        case .failed(let error): delegate?.failed(error, operation: "receive from")
        }
        unlinkIfIdle()
    }

    /// Those that the consumer does not take are retained.
    private func deliver(_ bytes: UnsafeRawBufferPointer) {
        isDelivering = true
        let taken = heldDelegate.received(bytes)
        isDelivering = false
        decoded.append(UnsafeRawBufferPointer(rebasing: bytes[min(taken, bytes.count)...]))
        if isPushing { readAgain() }
    }

    package override func run() -> UnownedJob? {
        let reported = readiness
        readiness = []
        return phase == .open && reported.contains(.read) ? becameReadable() : nil
    }

    // MARK: Sending

    package override func grantsSend(of count: Int) -> Bool {
        isEstablished && output.isEmpty && base.grantsSend(of: count)
    }

    package override func send(_ bytes: UnsafeRawBufferPointer) -> IOResult {
        if !isEstablished || failure != nil || !output.isEmpty { return .wouldBlock }
        if filter == nil { return base.send(bytes) }
        var taken = 0
        repeat {
            guard let consumed = encode(UnsafeRawBufferPointer(rebasing: bytes[taken...])) else { return .wouldBlock }
            taken += consumed
            flush()
        } while taken < bytes.count && output.isEmpty && !hasMoreToSend && phase == .open
        return taken == 0 && !bytes.isEmpty ? .wouldBlock : .bytes(taken)
    }

    package override var unsentBytes: Int {
        phase == .open ? output.count + base.unsentBytes + (hasMoreToSend ? 1 : 0) : 0
    }

    /// Reports an error to the delegate, because the filter's last bytes may have to wait.
    package override func shutdownWrite(on loop: EventLoop) -> Errno? {
        appendEnd()
        shutsDown = true
        flush()
        return nil
    }

    // MARK: Ending

    package override func detach() {
        if phase != .open { return }
        phase = .detached
        isPushing = false
    }

    package override var resetsOnClose: Bool { base.resetsOnClose }

    package override func resetOnClose() { base.resetOnClose() }

    /// What the filter sends last goes first, for a bounded time.
    package override func close() {
        if phase >= .closing { return }
        detach()
        phase = .closing
        detachDelegate(on: loop)
        finishEstablishing(.failure(EventLoopError.transportClosed))
        if loop.isClosed || base.resetsOnClose { return closeBase() }
        appendEnd()
        flush()
        if phase == .closed { return }
        let timeout = filter?.finishTimeout ?? .zero
        timer = loop.callLater(after: timeout) { [self] in
            // The peer must not take what it has received for everything.
            base.resetOnClose()
            closeBase()
        }
    }

    func closeBase() {
        if phase == .closed { return }
        phase = .closed
        timer?.cancel()
        timer = nil
        loop.unregister(self)
        base.detach()
        base.close()
    }

    override func waitUntilClosed(on loop: EventLoop, _ record: TaskRecord?) async throws {
        try await base.waitUntilClosed(on: loop, record)
    }

    package override func loopClosed() {
        super.loopClosed()
        close()
    }

    package override var rootID: SlotID? { base.rootID }

    // MARK: Removing

    /// Takes the filter out. What it has not consumed, and what is decoded, comes first.
    func removeFilter() {
        if filter == nil { return }
        appendEnd()
        while hasMore, decodeRetained() {
            if decoded.count > BufferPool.Size.large.byteCount {
                fail(IOError(.noBufferSpace, operation: "remove a filter of", address: channel.peerAddress))
                break
            }
        }
        filter = nil
        isAtEOF = false
        hasMore = false
        hasMoreToSend = false
        flush()
        unlinkIfIdle()
        // What is retained is delivered without another event.
        if phase == .open { readAgain() }
    }

    /// Connects what is above and below when nothing is retained here any more.
    func unlinkIfIdle() {
        guard filter == nil, phase == .open, input.isEmpty, decoded.isEmpty, output.isEmpty, !shutsDown, !isBaseAtEOF,
            let delegate
        else { return }
        phase = .closed
        loop.unregister(self)
        detachDelegate(on: loop)
        delegate.replaceDriver(by: base)
        if isPushing { return base.startReading() }
        // This driver may have been queued to resume the reader.
        if let job = delegate.becameReadable() { loop.enqueue(LoopWord(.taskJob, job: job)) }
    }
}
