import AsyncIOSystem
import SystemPackage

/// Moves bytes through a filter: a driver to the transport, or to another filter, above it, and the delegate of the
/// driver below.
///
/// It receives from the driver below when somebody wants bytes, in both styles, and decodes straight into the memory
/// that wants them. It retains three things, each bounded by one buffer: received bytes that the filter has not
/// consumed, decoded bytes that a consumer has not taken because it paused, and encoded bytes that could not be sent.
package final class FilterStreamDriver: StreamDriver {
    /// The result of decoding.
    private enum Decoded {
        case bytes(Int)
        case endOfFile
        /// Nothing can be received now.
        case wouldBlock
        case failed(Errno)
        /// The filter has failed, which has ended the connection.
        case filterFailed
    }

    // SAFETY: as in `ReadinessStreamDriver`.
    private unowned(unsafe) let loop: EventLoop
    package private(set) var base: StreamDriver
    /// `nil` after the filter was removed. The bytes that are retained here still come first.
    private var filter: (any StreamFilter)?

    private var input = WriteQueue()
    private var decoded = WriteQueue()
    private var output = WriteQueue()
    private var isPushing = false
    /// Whether the filter has more decoded bytes than had room.
    private var hasMore = false
    /// The same for encoded bytes.
    private var hasMoreToSend = false
    private var isBaseAtEOF = false
    private var isAtEOF = false
    /// The bytes of replies that were appended since the output was last sent completely.
    private var replyBytes = 0
    /// Whether decoding waits until replies are sent.
    private var waitsForReplies = false
    private var finishing = Finishing.no
    private var failure: (any Error)?
    private var establishment: Establishment?
    private var timer: TimerHandle?

    /// A peer that causes replies and does not read them is not received from.
    private static let mostReplyBytes = 64 * 1024

    private enum Finishing {
        case no
        /// EOF is sent when the output is.
        case shutsDown
        /// The descriptor is closed when the output is sent.
        case closes
        case done
    }

    /// What happens when the filter is established, or fails before.
    typealias Establishment = (Result<Void, any Error>) -> Void

    /// Puts `filter` above `base`. `start(_:)` follows when both ends are in place.
    package init(over base: StreamDriver, _ filter: any StreamFilter, on loop: EventLoop) {
        self.loop = loop
        self.base = base
        self.filter = filter
        super.init(base.channel)
        _ = loop.register(self)
        base.lendsMemory = false
        base.delegate = self
    }

    private var isEstablished: Bool { filter?.isEstablished ?? true }

    // MARK: Establishing

    /// Lets the filter send its greeting. `established` is called once, possibly at once.
    func start(_ established: @escaping Establishment) {
        establishment = established
        if !isEstablished, let timeout = filter?.establishmentTimeout {
            timer = loop.callLater(after: timeout) { [unowned self] in
                fail(IOError(.timedOut, operation: "establish the connection to", address: channel.peerAddress))
            }
        }
        greet()
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
        if outcome == nil {
            let ended = await loop.suspend(token, record)
            establishment = nil
            if outcome == nil { try loop.check(ended) }
        } else {
            loop.discardWaiter(token)
        }
        try outcome?.get()
    }

    private func greet() {
        let room = loop.chunkPool.take(.small)
        defer { loop.chunkPool.put(room, .small) }
        let memory = UnsafeMutableRawBufferPointer(start: room, count: ChunkPool.Size.small.byteCount)
        guard let step = decode(UnsafeRawBufferPointer(start: nil, count: 0), into: memory) else { return }
        decoded.append(UnsafeRawBufferPointer(rebasing: memory[..<step.produced]))
    }

    /// Receives for the filter alone, until it is established.
    private func establish() {
        let room = loop.chunkPool.take(.medium)
        defer { loop.chunkPool.put(room, .medium) }
        let memory = UnsafeMutableRawBufferPointer(start: room, count: ChunkPool.Size.medium.byteCount)
        while !isEstablished, failure == nil {
            switch decodeMore(into: memory) {
            case .bytes(let count): decoded.append(UnsafeRawBufferPointer(rebasing: memory[..<count]))
            case .wouldBlock: if !isEstablished { return }
            case .filterFailed: return
            case .failed(let error): return failed(error, operation: "establish the connection to")
            case .endOfFile: return failed(.connectionReset, operation: "establish the connection to")
            }
        }
        guard failure == nil else { return }
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

    /// Ends the connection because of the filter.
    private func fail(_ error: any Error) {
        if failure != nil { return }
        failure = error
        flush()
        if establishment != nil { return finishEstablishing(.failure(error)) }
        delegate?.ended(with: error)
    }

    // MARK: Decoding

    /// Decodes received bytes, and receives more when the filter has consumed them. Decoded bytes go to `memory`.
    private func decodeMore(into memory: UnsafeMutableRawBufferPointer) -> Decoded {
        while true {
            if failure != nil { return .filterFailed }
            if isAtEOF { return .endOfFile }
            if replyBytes >= Self.mostReplyBytes {
                waitsForReplies = true
                return .wouldBlock
            }
            if !input.isEmpty || hasMore {
                guard let step = decode(input.bytes, into: memory) else { return .filterFailed }
                input.removeFirst(step.consumed)
                if step.produced > 0 { return .bytes(step.produced) }
                if isAtEOF { return .endOfFile }
                if step.consumed > 0 || hasMore { continue }
            }
            if isBaseAtEOF { return endInput() }
            if input.count >= ChunkPool.Size.large.byteCount {
                fail(IOError(.noBufferSpace, operation: "decode what was received from", address: channel.peerAddress))
                return .filterFailed
            }
            switch receiveInput(into: memory) {
            case nil: continue
            case let result?: return result
            }
        }
    }

    /// Receives once, and decodes without a copy if nothing is retained. Returns `nil` if decoding has to go on.
    private func receiveInput(into memory: UnsafeMutableRawBufferPointer) -> Decoded? {
        let size = ChunkPool.Size.medium
        let room = loop.chunkPool.take(size)
        defer { loop.chunkPool.put(room, size) }
        switch base.receive(into: UnsafeMutableRawBufferPointer(start: room, count: size.byteCount)) {
        case .wouldBlock: return .wouldBlock
        case .failed(let error): return .failed(error)
        case .bytes(0):
            isBaseAtEOF = true
            return nil
        case .bytes(let count):
            let received = UnsafeRawBufferPointer(start: room, count: count)
            guard input.isEmpty else {
                input.append(received)
                return nil
            }
            guard let step = decode(received, into: memory) else { return .filterFailed }
            input.append(UnsafeRawBufferPointer(rebasing: received[step.consumed...]))
            if step.produced > 0 { return .bytes(step.produced) }
            return isAtEOF ? .endOfFile : nil
        }
    }

    /// The peer has sent EOF, and the filter has consumed what it can.
    private func endInput() -> Decoded {
        do {
            try filter?.receivedEOF()
        } catch {
            fail(error)
            return .filterFailed
        }
        isAtEOF = true
        return .endOfFile
    }

    /// Calls the filter. Returns how many bytes it has consumed, and appended to `memory`; `nil` if it has failed.
    private func decode(
        _ bytes: UnsafeRawBufferPointer, into memory: UnsafeMutableRawBufferPointer
    ) -> (consumed: Int, produced: Int)? {
        guard let filter else {
            let count = min(bytes.count, memory.count)
            memory.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[..<count]))
            hasMore = false
            return (count, count)
        }
        let size = ChunkPool.Size.small
        let room = loop.chunkPool.take(size)
        defer { loop.chunkPool.put(room, size) }
        let repliesMemory = UnsafeMutableRawBufferPointer(start: room, count: size.byteCount)
        var plain = OutputRawSpan(buffer: memory, initializedCount: 0)
        var replies = OutputRawSpan(buffer: repliesMemory, initializedCount: 0)
        do {
            let result = try filter.decode(bytes.bytes, into: &plain, replies: &replies)
            send(replies: repliesMemory, replies.byteCount)
            hasMore = result.needsRoom
            if result.hasEnded { isAtEOF = true }
            let consumed = min(max(0, result.consumedBytes), bytes.count)
            if result.needsRoom, consumed == 0, plain.byteCount == 0, replies.byteCount == 0 {
                throw EventLoopError(.invalidArgument, "a stream filter needs more room than \(memory.count) bytes")
            }
            return (consumed, plain.byteCount)
        } catch {
            send(replies: repliesMemory, replies.byteCount)
            fail(error)
            return nil
        }
    }

    private func send(replies: UnsafeMutableRawBufferPointer, _ count: Int) {
        if count == 0 { return }
        output.append(UnsafeRawBufferPointer(rebasing: replies[..<count]))
        replyBytes += count
        flush()
    }

    // MARK: Receiving

    package override func receive(into buffer: UnsafeMutableRawBufferPointer) -> IOResult {
        guard isEstablished else { return .wouldBlock }
        // A filter may make much of little.
        guard known.hasReadingShare(in: loop.core.pointee.tick) else {
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
        switch result {
        case .bytes(let count):
            known.useReadingShare(count)
            return .bytes(count)
        case .endOfFile: return .bytes(0)
        case .wouldBlock, .filterFailed: return .wouldBlock
        case .failed(let error): return .failed(error)
        }
    }

    package override func startReading() {
        isPushing = true
        readAgain()
    }

    package override func stopReading() {
        isPushing = false
    }

    private func readAgain() {
        readiness.insert(.read)
        loop.queue(self)
    }

    private func push() {
        guard isEstablished, phase == .open else { return }
        if !decoded.isEmpty {
            let count = decoded.count
            let taken = heldDelegate.received(decoded.bytes)
            decoded.removeFirst(min(taken, count))
            if isPushing { readAgain() }
            return
        }
        let memory = loop.core.pointee.receiveBuffer.bytes
        switch decodeMore(into: memory) {
        case .bytes(let count):
            let bytes = UnsafeRawBufferPointer(rebasing: memory[..<count])
            let taken = heldDelegate.received(bytes)
            if taken < count { decoded.append(UnsafeRawBufferPointer(rebasing: bytes[taken...])) }
            if isPushing { readAgain() }
        case .endOfFile: delegate?.receivedEOF()
        case .wouldBlock, .filterFailed: break
        case .failed(let error): delegate?.failed(error, operation: "receive from")
        }
        unlinkIfIdle()
    }

    package override func run() -> UnownedJob? {
        let reported = readiness
        readiness = []
        guard phase == .open, reported.contains(.read) else { return nil }
        if isPushing {
            push()
            return nil
        }
        return heldDelegate.becameReadable()
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
        } while taken < bytes.count && output.isEmpty && !hasMoreToSend
        return taken == 0 && !bytes.isEmpty ? .wouldBlock : .bytes(taken)
    }

    /// Calls the filter, and appends what it has encoded to the output. Returns how many bytes it has consumed, `nil`
    /// if it has failed.
    private func encode(_ bytes: UnsafeRawBufferPointer) -> Int? {
        guard let filter else { return nil }
        let size = ChunkPool.Size.medium
        let room = loop.chunkPool.take(size)
        defer { loop.chunkPool.put(room, size) }
        var encoded = OutputRawSpan(
            buffer: UnsafeMutableRawBufferPointer(start: room, count: size.byteCount), initializedCount: 0)
        do {
            let result = try filter.encode(bytes.bytes, into: &encoded)
            let consumed = min(max(0, result.consumedBytes), bytes.count)
            hasMoreToSend = result.needsRoom
            if encoded.byteCount == 0, consumed == 0, hasMoreToSend || !bytes.isEmpty {
                // Without progress now there would be none later.
                throw EventLoopError(.invalidArgument, "a stream filter encodes nothing of \(bytes.count) bytes")
            }
            output.append(UnsafeRawBufferPointer(start: room, count: encoded.byteCount))
            return consumed
        } catch {
            fail(error)
            return nil
        }
    }

    package override var unsentBytes: Int {
        phase == .open ? output.count + base.unsentBytes + (hasMoreToSend ? 1 : 0) : 0
    }

    /// Sends what is encoded, and lets the filter encode what it has retained.
    private func flush() {
        repeat {
            while !output.isEmpty {
                let bytes = output.bytes
                switch base.send(bytes) {
                case .bytes(let count):
                    output.removeFirst(count)
                    if count < bytes.count { return }
                case .wouldBlock: return
                case .failed(let error):
                    output.removeAll()
                    return failed(error, operation: "send to")
                }
            }
        } while hasMoreToSend && failure == nil && encode(UnsafeRawBufferPointer(start: nil, count: 0)) != nil
        replyBytes = 0
        if base.unsentBytes == 0 { finishIfFlushed() }
    }

    package override func shutdownWrite() {
        guard finishing == .no else { return }
        finishing = .shutsDown
        appendEnd()
        flush()
    }

    /// What the filter sends last.
    private func appendEnd() {
        guard let filter, isEstablished, failure == nil else { return }
        let size = ChunkPool.Size.small
        let room = loop.chunkPool.take(size)
        defer { loop.chunkPool.put(room, size) }
        var encoded = OutputRawSpan(
            buffer: UnsafeMutableRawBufferPointer(start: room, count: size.byteCount), initializedCount: 0)
        // The connection ends anyway, so an error changes nothing.
        try? filter.finish(into: &encoded)
        output.append(UnsafeRawBufferPointer(start: room, count: encoded.byteCount))
    }

    private func finishIfFlushed() {
        switch finishing {
        case .no, .done: break
        case .shutsDown:
            finishing = .done
            base.shutdownWrite()
        case .closes:
            finishing = .done
            closeBase()
        }
    }

    // MARK: Ending

    package override func detach() {
        if phase != .open { return }
        phase = .detached
        isPushing = false
    }

    package override var resetsOnClose: Bool { base.resetsOnClose }

    package override func resetOnClose() {
        base.resetOnClose()
    }

    /// What the filter sends last goes first, for a bounded time.
    package override func close() {
        if phase >= .closing { return }
        detach()
        phase = .closing
        detachDelegate(on: loop)
        timer?.cancel()
        timer = nil
        establishment = nil
        if loop.isClosed || base.resetsOnClose || failure != nil { return closeBase() }
        let wasFinished = finishing != .no
        finishing = .closes
        if !wasFinished { appendEnd() }
        flush()
        if phase == .closed { return }
        let timeout = filter?.finishTimeout ?? .zero
        timer = loop.callLater(after: timeout) { [self] in closeBase() }
    }

    private func closeBase() {
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
        filter = nil
        hasMore = false
        hasMoreToSend = false
        flush()
        unlinkIfIdle()
    }

    /// Connects what is above and below when nothing is retained here any more.
    private func unlinkIfIdle() {
        guard filter == nil, phase == .open, finishing == .no, input.isEmpty, decoded.isEmpty, output.isEmpty,
            !isBaseAtEOF, let delegate
        else { return }
        phase = .closed
        loop.unregister(self)
        detachDelegate(on: loop)
        delegate.replaceDriver(by: base)
        if isPushing { base.startReading() }
    }
}

extension FilterStreamDriver: StreamDriverDelegate {
    package func becameReadable() -> UnownedJob? {
        if establishment != nil { establish() }
        guard phase == .open, isEstablished else { return nil }
        if isPushing {
            push()
            return nil
        }
        return heldDelegate.becameReadable()
    }

    package func becameWritable(returningJob: Bool) -> UnownedJob? {
        let unsent = output.count
        flush()
        guard phase == .open else { return nil }
        if !output.isEmpty {
            if output.count < unsent { delegate?.flushed() }
            return nil
        }
        if waitsForReplies {
            waitsForReplies = false
            if isEstablished { readAgain() } else { establish() }
        }
        guard isEstablished else { return nil }
        unlinkIfIdle()
        if phase == .closed { return base.delegate?.becameWritable(returningJob: returningJob) }
        return heldDelegate.becameWritable(returningJob: returningJob)
    }

    package func received(_ bytes: UnsafeRawBufferPointer) -> Int {
        input.append(bytes)
        return bytes.count
    }

    package func lend(_ receive: (UnsafeMutableRawBufferPointer) -> Int) -> Bool { false }

    package func receivedEOF() {
        isBaseAtEOF = true
    }

    package func flushed() {
        flush()
        if phase == .open { delegate?.flushed() }
    }

    package func failed(_ error: Errno, operation: String) {
        if phase >= .closing { return closeBase() }
        if establishment != nil {
            return fail(IOError(error, operation: operation, address: channel.peerAddress))
        }
        delegate?.failed(error, operation: operation)
    }

    package func ended(with error: any Error) {
        fail(error)
    }

    package func replaceDriver(by driver: StreamDriver) {
        base = driver
        driver.delegate = self
    }

    package var connection: ConnectionReport {
        delegate?.connection
            ?? ConnectionReport(
                label: "a connection that is being established with \(channel.peerAddress?.description ?? "a peer")",
                origin: nil, isLeftOpen: false)
    }
}
