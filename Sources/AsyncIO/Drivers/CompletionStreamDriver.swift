package import AsyncIOSystem
import Proactors
import SystemPackage

/// Submits receives and sends to the proactor.
///
/// One receive is in flight for as long as its bytes are wanted. Each arrival comes in a buffer of the loop's pool,
/// which is delivered, lent as a chunk, or copied from. A connection that is silent has no buffer. `mostReceived`
/// buffers that have not been read cancel the receive, which makes the peer wait.
///
/// Where the proactor has transfers that do not wait, a connection that receives much is polled instead, and its bytes
/// are received when their consumer comes, into memory that is still in the cache: with many such connections, a
/// receive for each would fill more memory than the cache holds before the first consumer runs. Sends that do not wait
/// are used first: small amounts are collected in ``ImmediateSends``, and so are the buffers of what was just received;
/// other large amounts are sent at once from the caller's memory. What the socket does not take, and every send of
/// other proactors, is an operation that waits. Its bytes belong to the kernel until its completion, even if the
/// connection is closed meanwhile. Therefore this object owns them, and the loop retains it until all its operations
/// have completed. At most one send is in flight, and what is written meanwhile is bounded by `bufferBytes`.
package final class CompletionStreamDriver: StreamDriver {
    static let bufferBytes = 64 * 1024
    private static let mostReceived = 4
    private static let mostSmallReceives: UInt8 = 16

    // SAFETY: the loop retains its drivers, and the transport of a driver that it has released retains the loop.
    unowned(unsafe) let loop: ProactorEventLoop

    @exclusivity(unchecked) private var received = ReceivedBuffers()
    @exclusivity(unchecked) private var receiveOperation: SlotID?
    /// Whether the operation is a poll.
    @exclusivity(unchecked) private var isPolling = false
    /// Whether the peer sends much. Then a poll takes the place of the receive, and the bytes are received when their
    /// consumer comes, into memory that is still in the cache.
    @exclusivity(unchecked) private var isBulkReceiver = false
    /// Whether a poll has completed and not all bytes were received yet.
    @exclusivity(unchecked) private var isSocketReadable = false
    @exclusivity(unchecked) private var smallReceives: UInt8 = 0
    /// Because nobody reads, or because the other kind of receive is useful.
    @exclusivity(unchecked) private var isReceiveCancelled = false
    @exclusivity(unchecked) var receiveFailure: Errno?
    @exclusivity(unchecked) private var isAtEOF = false
    @exclusivity(unchecked) private var isDelivering = false
    /// Whether bytes, EOF or an error have come since this source ran last.
    @exclusivity(unchecked) private var isReceiveReported = false
    /// Whether a task waits for its share of the next iteration, and not for bytes.
    @exclusivity(unchecked) private var isReaderDeferred = false

    /// What was written in this iteration, or is in flight, with a send that does not wait.
    @exclusivity(unchecked) var immediate = ImmediateSends.Piece()
    @exclusivity(unchecked) var immediateToken: SlotID?
    @exclusivity(unchecked) var isImmediateSubmitted = false
    @exclusivity(unchecked) var waiting: WaitingSends?
    @exclusivity(unchecked) var isWriterBlocked = false
    @exclusivity(unchecked) var sendFailure: Errno?
    /// Whether a send has ended since this source ran last.
    @exclusivity(unchecked) var isSendReported = false

    @exclusivity(unchecked) private var closeOperation: SlotID?
    /// Whether an operation has closed the descriptor, or will.
    @exclusivity(unchecked) private var isDescriptorClosed = false

    package init(_ channel: ByteChannel, on loop: ProactorEventLoop) {
        self.loop = loop
        super.init(channel)
        flags = .lendsBuffers
        loop.register(self)
        loop.claim(channel.descriptor, for: self)
    }

    @inline(__always) var pool: Unmanaged<BufferPool> { loop.unretainedPool.unsafelyUnwrapped }

    // MARK: Completions

    package override func completed(_ completion: OperationCompletion) -> Bool {
        if completion.operation == receiveOperation {
            receiveCompleted(completion)
        } else if completion.operation == immediateToken {
            immediateSendFailed(completion.result)
        } else if completion.operation == closeOperation {
            closeCompleted(completion.result)
        } else {
            sendCompleted(completion.operation, completion.result)
        }
        return isReceiveReported || isSendReported || phase == .closing
    }

    package override func run() -> UnownedJob? {
        var job: UnownedJob?
        if isReceiveReported || isReaderDeferred {
            isReceiveReported = false
            isReaderDeferred = false
            if !isPushing, phase == .open { job = heldDelegate.becameReadable() }
        }
        if isSendReported {
            isSendReported = false
            let writerJob = reportSend(returningJob: job == nil)
            job = job ?? writerJob
        }
        if isPushing { push() }
        if phase == .closing { closeIfQuiet() }
        return job
    }

    package override func endOfIteration() {
        waiting?.isFlushQueued = false
        submitSend()
        if let error = sendError { delegate?.failed(error, operation: "send to") }
    }

    // MARK: Receiving

    package override func startReading() {
        isPushing = true
        loop.queue(self)
    }

    package override func receive(into buffer: UnsafeMutableRawBufferPointer) -> IOResult {
        if let result = resultWithoutBytes() { return result }
        if received.isEmpty { return receiveAtOnce(into: buffer) }
        let count = received.take(into: buffer, pool)
        took(count)
        return .bytes(count)
    }

    package override func receiveBuffer() -> (buffer: PooledBuffer, byteCount: Int)? {
        guard received.startsWithWholeBuffer, resultWithoutBytes() == nil else { return nil }
        let lent = received.takeBuffer()
        took(lent.byteCount)
        return lent
    }

    /// Returns the result of a receive that returns no bytes now, or `nil` if it may take bytes.
    @inline(__always) private func resultWithoutBytes() -> IOResult? {
        // The consumer is using the received bytes, and may have added a filter, which receives.
        if !isDelivering {
            if received.isEmpty, !isSocketReadable { return resultWithoutReceived() }
            if known.readingShare.isLeft(in: loop.core.pointee.tick),
                loop.core.pointee.budget.allowsReceive || takeGrant(.read)
            {
                return nil
            }
        }
        isReaderDeferred = true
        loop.queue(self)
        return .wouldBlock
    }

    private func resultWithoutReceived() -> IOResult {
        if let error = receiveFailure { return .failed(error) }
        if isAtEOF { return .bytes(0) }
        submitReceive()
        return receiveFailure.map { .failed($0) } ?? .wouldBlock
    }

    @inline(__always) private func took(_ count: Int) {
        known.readingShare.use(count)
        loop.core.pointee.budget.use(count)
        wantMore()
    }

    private func receiveCompleted(_ completion: OperationCompletion) {
        let wasPoll = isPolling
        if !completion.hasMore {
            receiveOperation = nil
            isReceiveCancelled = false
        }
        if let buffer = completion.buffer {
            isReceiveReported = true
            if phase == .open, completion.result > 0 {
                received.append(buffer, byteCount: completion.result)
                heldDelegate.prefetch()
                // More than one buffer at once shows that the peer sends more than small amounts.
                if received.count > 1, completion.result == buffer.size.byteCount, loop.supportsImmediateTransfers {
                    isBulkReceiver = true
                }
            } else {
                pool.put(buffer.memory, buffer.size)
            }
        } else if completion.result < 0 {
            let error = Errno(rawValue: CInt(truncatingIfNeeded: -completion.result))
            // The first was requested; the proactor had no buffer; the operation lost a race on some kernels, or was
            // interrupted.
            if error != .canceled, error != .noBufferSpace, !error.hadNoEffect {
                isReceiveReported = true
                // The receive after a poll that fails finds the reason.
                if wasPoll { isSocketReadable = true } else { receiveFailure = error }
            }
        } else {
            isReceiveReported = true
            if wasPoll { isSocketReadable = true } else { isAtEOF = true }
        }
        if receiveOperation == nil {
            wantMore()
        } else if received.count >= Self.mostReceived || isBulkReceiver != isPolling {
            cancelReceive()
        }
    }

    private func cancelReceive() {
        guard let receiveOperation, !isReceiveCancelled else { return }
        isReceiveCancelled = true
        loop.cancel(receiveOperation, isPolling ? .poll : .receiveIntoPool)
    }

    @inline(__always) private func wantMore() {
        if receiveOperation == nil, received.isEmpty, !isSocketReadable, receiveFailure == nil, !isAtEOF {
            submitReceive()
        }
    }

    private func submitReceive() {
        guard receiveOperation == nil, phase == .open else { return }
        isPolling = isBulkReceiver
        do {
            receiveOperation = try loop.submit(
                isPolling
                    ? .poll(channel.descriptor, for: .read)
                    : .receiveIntoPool(from: channel.socket, size: loop.supportsImmediateTransfers ? .small : .medium),
                for: self)
        } catch {
            receiveFailure = error
            isReceiveReported = true
        }
    }

    /// Receives what has arrived for a bulk receiver into the memory of the caller.
    private func receiveAtOnce(into buffer: UnsafeMutableRawBufferPointer) -> IOResult {
        let result = loop.receiveAtOnce(into: buffer, from: channel.socket)
        switch result {
        case .bytes(let count):
            isAtEOF = count == 0
            // The next poll reports what is left, or EOF.
            if count < buffer.count { isSocketReadable = false }
            smallReceives = count > BufferPool.Size.small.byteCount ? 0 : smallReceives + 1
            if smallReceives == Self.mostSmallReceives {
                isBulkReceiver = false
                smallReceives = 0
            }
            took(count)
        case .wouldBlock:
            isSocketReadable = false
            wantMore()
        case .failed(let error):
            isSocketReadable = false
            receiveFailure = error
        }
        return result
    }

    /// Delivers received bytes, up to the connection's share of the iteration.
    private func push() {
        while isPushing, let (bytes, buffer) = received.first, known.readingShare.isLeft(in: loop.core.pointee.tick) {
            loop.immediateSends.pointee.beginDelivery(of: bytes, in: buffer)
            let taken = deliver(bytes)
            loop.immediateSends.pointee.endDelivery()
            received.consume(taken ?? bytes.count, pool)
            guard let taken else { return received.removeAll(pool) }
            known.readingShare.use(taken)
            loop.core.pointee.budget.use(taken)
        }
        guard isPushing else { return }
        if isSocketReadable, received.isEmpty, resultWithoutBytes() == nil { pushAtOnce() }
        guard isPushing, phase == .open else { return }
        if !received.isEmpty || isSocketReadable { return loop.queue(self) }
        wantMore()
        if isAtEOF || receiveFailure != nil { pushEnd() }
    }

    /// Returns how many bytes the delegate has taken; `nil` if the connection has ended.
    @inline(__always) private func deliver(_ bytes: UnsafeRawBufferPointer) -> Int? {
        isDelivering = true
        let taken = heldDelegate.received(bytes)
        isDelivering = false
        return phase == .open ? taken : nil
    }

    /// Receives once into the loop's memory, and delivers. What the delegate does not take is stored.
    private func pushAtOnce() {
        let room = loop.core.pointee.receiveBuffer
        guard case .bytes(let count) = receiveAtOnce(into: room), count > 0 else { return }
        guard var taken = deliver(UnsafeRawBufferPointer(rebasing: room[..<count])) else { return }
        while taken < count {
            let buffer = PooledBuffer(pool.take(.large), .large)
            let stored = min(count - taken, buffer.bytes.count)
            buffer.bytes.copyMemory(from: UnsafeRawBufferPointer(rebasing: room[taken..<(taken + stored)]))
            received.append(buffer, byteCount: stored)
            taken += stored
        }
    }

    private func pushEnd() {
        if let error = receiveFailure {
            delegate?.failed(error, operation: "receive from")
        } else {
            delegate?.receivedEOF()
        }
    }

    // MARK: Sending

    package override func send(_ bytes: UnsafeRawBufferPointer) -> IOResult {
        if let error = sendError { return .failed(error) }
        guard loop.supportsImmediateTransfers, waiting?.isEmpty ?? true else {
            return store(bytes)
        }
        let queued = queuedImmediately
        if queued > 0, isImmediateSubmitted { return store(bytes) }
        if queued + bytes.count <= ImmediateSends.mostBytes { return sendLater(bytes) }
        if queued == 0, let buffer = loop.immediateSends.pointee.bufferOfDelivered(bytes) {
            return sendLater(bytes, in: buffer)
        }
        return sendAtOnce(bytes)
    }

    /// A bulk receiver has larger buffers, which are sent from while they are in the cache.
    package override func send(_ bytes: UnsafeRawBufferPointer, in buffer: PooledBuffer) -> IOResult {
        guard buffer.size == .small, bytes.count > ImmediateSends.mostBytes, loop.supportsImmediateTransfers,
            queuedImmediately == 0, waiting?.isEmpty ?? true, sendError == nil
        else { return send(bytes) }
        return sendLater(bytes, in: buffer)
    }

    package override var sendsFiles: Bool { true }

    package override func sendFile(_ file: FileDescriptor, offset: Int64, byteCount: Int) -> IOResult {
        sendFileNow(file, offset: offset, byteCount: byteCount)
    }

    /// 0 after `detach()`, because nothing waits for the bytes any more.
    package override var unsentBytes: Int {
        phase == .open ? (waiting?.byteCount ?? 0) &+ queuedImmediately : 0
    }

    // MARK: Ending

    package override func detach() {
        if phase != .open { return }
        phase = .detached
        isPushing = false
        waiting?.pending.removeAll()
        immediate.removeAll()
        // Otherwise removed after the delivery.
        if !isDelivering { received.removeAll(pool) }
        isSocketReadable = false
        cancelReceive()
        if let operation = waiting?.operation { loop.cancel(operation, .send) }
        if let poll = waiting?.filePoll { loop.cancel(poll, .poll) }
        if let token = immediateToken.take() { loop.removeToken(token) }
    }

    package override func close() {
        if phase >= .closing { return }
        detach()
        phase = .closing
        detachDelegate(on: loop)
        if loop.isClosed || !hasOperations { return finish() }
        // Behind the cancellations, so that the operations do not retain the file.
        closeOperation = try? loop.submit(.close(channel.descriptor), for: self)
        if closeOperation == nil { closeIfQuiet() } else { loop.unwatch(channel.descriptor, self) }
    }

    private func closeCompleted(_ result: Int) {
        closeOperation = nil
        let error = Errno(rawValue: CInt(truncatingIfNeeded: -min(result, 0)))
        // After any other error the descriptor is closed.
        isDescriptorClosed = ![.canceled, .invalidArgument, .notSupportedOnSocket].contains(error)
        if isDescriptorClosed { loop.descriptorWasClosed() }
    }

    private func closeIfQuiet() {
        if !hasOperations, closeOperation == nil { finish() }
    }

    /// Whether operations other than the close are in flight.
    private var hasOperations: Bool {
        receiveOperation != nil || waiting?.operation != nil || waiting?.filePoll != nil
    }

    private func finish() {
        loop.unwatch(channel.descriptor, self)
        loop.unregister(self)
        closeChannel(on: loop, isClosed: isDescriptorClosed)
    }

    /// The proactor is closed before the loop releases its sources, so the buffers outlive the kernel's use.
    package override func loopClosed() {
        super.loopClosed()
        close()
        // The proactor carries out a close that was submitted, also when it is closed itself.
        if closeOperation != nil { isDescriptorClosed = true }
        if phase == .closing { finish() }
    }
}
