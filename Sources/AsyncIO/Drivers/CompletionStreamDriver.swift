package import AsyncIOSystem
import Proactors
import SystemPackage

/// Submits receives and sends to the proactor.
///
/// One receive is in flight for as long as its bytes are wanted. Each arrival comes in a buffer of the loop's pool,
/// which is delivered, lent as a chunk, or copied from. A connection that is silent has no buffer. `mostReceived`
/// buffers that have not been read cancel the receive, which makes the peer wait.
///
/// The bytes of a send belong to the kernel until its completion, even if the connection is closed meanwhile. Therefore
/// this object owns them, and the loop retains it until both operations have completed. At most one send is in flight,
/// and what is written meanwhile is bounded by `bufferBytes`.
package final class CompletionStreamDriver: StreamDriver {
    private static let bufferBytes = 64 * 1024
    private static let mostReceived = 4

    private unowned let loop: ProactorEventLoop

    private var received = ReceivedBuffers()
    private var receiveOperation: SlotID?
    /// Because nobody reads.
    private var isReceiveCancelled = false
    private var receiveFailure: Errno?
    private var isAtEOF = false
    private var isDelivering = false
    /// Whether bytes, EOF or an error have come since this source ran last.
    private var isReceiveReported = false
    /// Whether a task waits for its share of the next iteration, and not for bytes.
    private var isReaderDeferred = false

    /// Bytes that were written in this iteration, or while a send is in flight.
    private var pending = WriteQueue()
    private var inFlight = WriteQueue()
    private var sendOperation: SlotID?
    private var isFlushQueued = false
    private var isWriterBlocked = false
    private var sendFailure: Errno?
    private var sendResult: Int?

    package init(_ channel: ByteChannel, on loop: ProactorEventLoop) {
        self.loop = loop
        super.init(channel)
        lending = .buffers
        loop.register(self)
        loop.claim(channel.descriptor, for: self)
    }

    // MARK: Completions

    package override func completed(_ completion: OperationCompletion) {
        if completion.operation == receiveOperation {
            receiveCompleted(completion)
        } else {
            sendResult = completion.result
        }
        if isReceiveReported || sendResult != nil || phase == .closing { loop.queue(self) }
    }

    package override func run() -> UnownedJob? {
        var job: UnownedJob?
        if isReceiveReported || isReaderDeferred {
            isReceiveReported = false
            isReaderDeferred = false
            if !isPushing, phase == .open { job = delegate?.becameReadable() }
        }
        if let result = sendResult.take() {
            let writerJob = sendCompleted(result, returningJob: job == nil)
            job = job ?? writerJob
        }
        if isPushing { push() }
        closeIfQuiet()
        return job
    }

    package override func endOfIteration() {
        isFlushQueued = false
        submitSend()
        if let error = sendFailure { delegate?.failed(error, operation: "send to") }
    }

    // MARK: Receiving

    package override func startReading() {
        isPushing = true
        loop.queue(self)
    }

    package override func receive(into buffer: UnsafeMutableRawBufferPointer) -> IOResult {
        if let result = resultWithoutBytes() { return result }
        let count = received.take(into: buffer, loop.chunkPool)
        took(count)
        return .bytes(count)
    }

    package override func receiveBuffer() -> (buffer: PooledBuffer, byteCount: Int)? {
        guard received.startsWithWholeBuffer, resultWithoutBytes() == nil else { return nil }
        let lent = received.takeBuffer()
        took(lent.byteCount)
        return lent
    }

    /// Returns the result of a receive that returns no bytes now, or `nil` if it may take received ones.
    private func resultWithoutBytes() -> IOResult? {
        // The consumer is using the received bytes, and may have added a filter, which receives.
        if !isDelivering {
            if received.isEmpty {
                if let error = receiveFailure { return .failed(error) }
                if isAtEOF { return .bytes(0) }
                submitReceive()
                return receiveFailure.map { .failed($0) } ?? .wouldBlock
            }
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

    private func took(_ count: Int) {
        known.readingShare.use(count)
        loop.core.pointee.budget.use(count)
        wantMore()
    }

    private func receiveCompleted(_ completion: OperationCompletion) {
        if !completion.hasMore {
            receiveOperation = nil
            isReceiveCancelled = false
        }
        var isRepeated = false
        if let buffer = completion.buffer {
            if phase == .open, completion.result > 0 {
                received.append(buffer, byteCount: completion.result)
            } else {
                loop.chunkPool.put(buffer.memory, buffer.size)
            }
        } else if completion.result == 0 {
            isAtEOF = true
        } else {
            let error = Errno(rawValue: CInt(truncatingIfNeeded: -completion.result))
            // The first was requested; the proactor had no buffer; the operation lost a race on some kernels.
            isRepeated = error == .canceled || error == .noBufferSpace || error == .resourceTemporarilyUnavailable
            if !isRepeated { receiveFailure = error }
        }
        if !isRepeated { isReceiveReported = true }
        if received.count >= Self.mostReceived, let receiveOperation, !isReceiveCancelled {
            isReceiveCancelled = true
            loop.cancel(receiveOperation, .receiveIntoPool)
        } else {
            wantMore()
        }
    }

    private func wantMore() {
        if received.isEmpty, receiveFailure == nil, !isAtEOF { submitReceive() }
    }

    /// Delivers received bytes, up to the connection's share of the iteration.
    private func push() {
        guard let delegate else { return }
        while isPushing, let bytes = received.first, known.readingShare.isLeft(in: loop.core.pointee.tick) {
            isDelivering = true
            let taken = delegate.received(bytes)
            isDelivering = false
            if phase != .open { return received.removeAll(loop.chunkPool) }
            received.consume(taken, loop.chunkPool)
            known.readingShare.use(taken)
            loop.core.pointee.budget.use(taken)
        }
        guard isPushing else { return }
        if !received.isEmpty { return loop.queue(self) }
        wantMore()
        if let error = receiveFailure {
            delegate.failed(error, operation: "receive from")
        } else if isAtEOF {
            delegate.receivedEOF()
        }
    }

    private func submitReceive() {
        guard receiveOperation == nil, phase == .open else { return }
        do {
            receiveOperation = try loop.submit(.receiveIntoPool(from: channel.socket, size: .medium), for: self)
        } catch {
            receiveFailure = error
            isReceiveReported = true
        }
    }

    // MARK: Sending

    package override func send(_ bytes: UnsafeRawBufferPointer) -> IOResult {
        if let error = sendFailure { return .failed(error) }
        let room = Self.bufferBytes - pending.count
        guard room > 0 else {
            isWriterBlocked = true
            return .wouldBlock
        }
        let count = min(room, bytes.count)
        pending.append(UnsafeRawBufferPointer(rebasing: bytes[..<count]))
        loop.core.pointee.budget.use(count)
        if count < bytes.count { isWriterBlocked = true }
        if sendOperation == nil && !isFlushQueued {
            isFlushQueued = true
            loop.queueAtEndOfIteration(self)
        }
        return .bytes(count)
    }

    /// 0 after `detach()`, because nothing waits for the bytes any more.
    package override var unsentBytes: Int {
        // A send may have completed in the iteration that has not come to this source yet.
        phase == .open ? pending.count + inFlight.count - min(max(sendResult ?? 0, 0), inFlight.count) : 0
    }

    private func submitSend() {
        guard sendOperation == nil, sendFailure == nil, phase == .open else { return }
        if inFlight.isEmpty { swap(&inFlight, &pending) }
        guard !inFlight.isEmpty else { return }
        do {
            sendOperation = try loop.submit(.send(inFlight.bytes, on: channel.socket), for: self)
        } catch {
            sendFailure = error
        }
    }

    private func sendCompleted(_ result: Int, returningJob: Bool) -> UnownedJob? {
        sendOperation = nil
        let error = Errno(rawValue: CInt(clamping: -result))
        if result >= 0 || error == .resourceTemporarilyUnavailable {
            inFlight.removeFirst(min(max(result, 0), inFlight.count))
            submitSend()
        } else {
            sendFailure = error
            inFlight.removeAll()
            pending.removeAll()
        }
        guard let delegate, phase == .open else { return nil }
        if let error = sendFailure {
            delegate.failed(error, operation: "send to")
            return nil
        }
        guard isWriterBlocked || unsentBytes == 0 else {
            delegate.flushed()
            return nil
        }
        isWriterBlocked = false
        return delegate.becameWritable(returningJob: returningJob)
    }

    // MARK: Ending

    package override func detach() {
        if phase != .open { return }
        phase = .detached
        isPushing = false
        pending.removeAll()
        // Otherwise removed after the delivery.
        if !isDelivering { received.removeAll(loop.chunkPool) }
        if let receiveOperation { loop.cancel(receiveOperation, .receiveIntoPool) }
        if let sendOperation { loop.cancel(sendOperation, .send) }
    }

    package override func close() {
        if phase >= .closing { return }
        detach()
        phase = .closing
        detachDelegate(on: loop)
        closeIfQuiet()
    }

    private func closeIfQuiet() {
        if phase == .closing, receiveOperation == nil, sendOperation == nil { finish() }
    }

    private func finish() {
        loop.unwatch(channel.descriptor, self)
        loop.unregister(self)
        closeChannel(on: loop)
    }

    /// The proactor is closed before the loop releases its sources, so the buffers outlive the kernel's use.
    package override func loopClosed() {
        super.loopClosed()
        close()
        if phase == .closing { finish() }
    }
}
