package import AsyncIOSystem
import Proactors
import SystemPackage

/// Submits receives and sends to the proactor, and provides their memory.
///
/// The memory of an operation belongs to the kernel from its submission to its completion, even if the connection is
/// closed meanwhile. Therefore this object owns the buffers, and the loop retains it until both operations have
/// completed.
///
/// At most one receive and one send are in flight. The bytes of a receive that nobody wants yet stay in the buffer, and
/// the next receive begins only when they have been read. So each direction is bounded by one buffer.
package final class CompletionStreamDriver: StreamDriver {
    private static let bufferBytes = 64 * 1024

    private unowned let loop: ProactorEventLoop

    private var receiveBuffer = UnsafeMutableRawBufferPointer(start: nil, count: 0)
    private var received = 0..<0
    private var receiveOperation: SlotID?
    private var receiveFailure: Errno?
    private var isAtEOF = false
    /// Whether received bytes are lent to the delegate.
    private var isDelivering = false
    private var receiveResult: Int?
    private var readingShare = IterationShare()
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
        _ = loop.register(self)
        loop.claim(channel.descriptor, for: self)
    }

    deinit {
        receiveBuffer.deallocate()
    }

    // MARK: Completions

    package override func completed(_ completion: OperationCompletion) {
        if completion.operation == receiveOperation {
            receiveResult = completion.result
        } else {
            sendResult = completion.result
        }
        loop.queue(self)
    }

    package override func run() -> UnownedJob? {
        var job: UnownedJob?
        if let result = receiveResult.take() { job = receiveCompleted(result) }
        if isReaderDeferred {
            isReaderDeferred = false
            if job == nil, !isPushing, phase == .open { job = delegate?.becameReadable() }
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
        if isDelivering {
            // The consumer is using the received bytes, and may have added a filter, which receives.
            isReaderDeferred = true
            loop.queue(self)
            return .wouldBlock
        }
        if received.isEmpty {
            if let error = receiveFailure { return .failed(error) }
            if isAtEOF { return .bytes(0) }
            submitReceive()
            return receiveFailure.map { .failed($0) } ?? .wouldBlock
        }
        guard readingShare.isLeft(in: loop.core.pointee.tick) else {
            isReaderDeferred = true
            loop.queue(self)
            return .wouldBlock
        }
        let count = min(buffer.count, received.count)
        readingShare.use(count)
        let end = received.lowerBound + count
        buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: receiveBuffer[received.lowerBound..<end]))
        received = end..<received.upperBound
        return .bytes(count)
    }

    private func receiveCompleted(_ result: Int) -> UnownedJob? {
        receiveOperation = nil
        if phase != .open { return nil }
        if result > 0 {
            received = 0..<result
            loop.core.pointee.budget.use(result)
        } else if result == 0 {
            isAtEOF = true
        } else {
            let error = Errno(rawValue: CInt(truncatingIfNeeded: -result))
            // Some kernels report would-block for an operation that lost a race. It is submitted again.
            if error == .resourceTemporarilyUnavailable { submitReceive() } else { receiveFailure = error }
        }
        return isPushing ? nil : delegate?.becameReadable()
    }

    /// Delivers the received bytes, and submits the next receive.
    private func push() {
        guard let delegate else { return }
        if !received.isEmpty {
            let bytes = UnsafeRawBufferPointer(rebasing: receiveBuffer[received])
            let (start, end) = (received.lowerBound, received.upperBound)
            isDelivering = true
            let taken = delegate.received(bytes)
            isDelivering = false
            received = taken < bytes.count ? start + taken..<end : 0..<0
        }
        guard isPushing, received.isEmpty, phase == .open else { return }
        if receiveFailure == nil && !isAtEOF { submitReceive() }
        if let error = receiveFailure {
            delegate.failed(error, operation: "receive from")
        } else if isAtEOF {
            delegate.receivedEOF()
        }
    }

    private func submitReceive() {
        guard receiveOperation == nil, phase == .open, received.isEmpty else { return }
        if receiveBuffer.baseAddress == nil {
            receiveBuffer = .allocate(byteCount: Self.bufferBytes, alignment: 64)
        }
        do {
            receiveOperation = try loop.submit(.receive(from: channel.socket, into: receiveBuffer), for: self)
        } catch {
            receiveFailure = error
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
    package override var unsentBytes: Int { phase == .open ? pending.count + inFlight.count : 0 }

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
        if let receiveOperation { loop.cancel(receiveOperation) }
        if let sendOperation { loop.cancel(sendOperation) }
    }

    package override func close() {
        if phase >= .closing { return }
        detach()
        phase = .closing
        detachDelegate(on: loop)
        closeIfQuiet()
    }

    /// Closes the descriptor if the kernel uses no memory of this object any more.
    private func closeIfQuiet() {
        guard phase == .closing, receiveOperation == nil, sendOperation == nil else { return }
        finish()
    }

    private func finish() {
        loop.unwatch(channel.descriptor, self)
        loop.unregister(self)
        closeChannel(on: loop)
    }

    /// No completion comes after this. The proactor is closed before the loop releases its sources, so the buffers
    /// outlive what the kernel does with them.
    package override func loopClosed() {
        super.loopClosed()
        close()
        if phase == .closing { finish() }
    }
}
