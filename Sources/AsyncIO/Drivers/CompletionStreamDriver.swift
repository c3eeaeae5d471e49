package import AsyncIOSystem
import Proactors
import SystemPackage

/// Submits receives and sends to the proactor, and lends it the memory.
///
/// The memory of an operation belongs to the kernel from its submission to its completion, whatever happens to the
/// transport. So the buffers live here, and the loop holds the driver until both directions are quiet.
///
/// There is one receive and one send in flight at most. What was received while nobody wants it is kept until somebody
/// does; then the next receive begins. So each direction is bounded by one buffer.
package final class CompletionStreamDriver: StreamDriver {
    private static let bufferBytes = 64 * 1024

    private unowned let loop: ProactorEventLoop

    private var receiveBuffer = UnsafeMutableRawBufferPointer(start: nil, count: 0)
    private var received = 0..<0
    private var isReceiving = false
    private var receiveFailure: Errno?
    private var sawEnd = false
    private var isPushing = false
    private var stagedReceive: Int?

    /// Collected in this tick, or while a send is in flight.
    private var pending = WriteQueue()
    private var inFlight = WriteQueue()
    private var isSending = false
    private var isFlushQueued = false
    private var isWriterBlocked = false
    private var sendFailure: Errno?
    private var stagedSend: Int?

    private var isDetached = false
    private var isClosing = false

    package init(loop: ProactorEventLoop, socket: Socket) {
        self.loop = loop
        super.init(socket: socket)
        _ = loop.register(self)
    }

    deinit {
        receiveBuffer.deallocate()
    }

    // MARK: Its turn

    package override func stage(kind: UInt8, result: Int) {
        if kind == OperationToken.receive { stagedReceive = result } else { stagedSend = result }
    }

    package override func run() -> UnownedJob? {
        var job: UnownedJob?
        if let result = stagedReceive.take() { job = receiveCompleted(result) }
        if let result = stagedSend.take() {
            let writerJob = sendCompleted(result, returningJob: job == nil)
            job = job ?? writerJob
        }
        if isPushing { push() }
        releaseIfQuiet()
        return job
    }

    package override func endOfTick() {
        isFlushQueued = false
        submitSend()
        if let error = sendFailure { transport?.failed(error, operation: "send to") }
    }

    // MARK: Receiving

    package override func startReading() {
        isPushing = true
        loop.queue(self)
    }

    package override func stopReading() {
        isPushing = false
    }

    package override func receive(into buffer: UnsafeMutableRawBufferPointer) -> IOResult {
        if received.isEmpty {
            if let error = receiveFailure { return .failed(error) }
            if sawEnd { return .bytes(0) }
            submitReceive()
            return receiveFailure.map { .failed($0) } ?? .wouldBlock
        }
        let count = min(buffer.count, received.count)
        let end = received.lowerBound + count
        buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: receiveBuffer[received.lowerBound..<end]))
        received = end..<received.upperBound
        return .bytes(count)
    }

    private func receiveCompleted(_ result: Int) -> UnownedJob? {
        isReceiving = false
        if isDetached { return nil }
        if result > 0 {
            received = 0..<result
            loop.core.pointee.budget.use(result)
        } else if result == 0 {
            sawEnd = true
        } else {
            let error = Errno(rawValue: CInt(-result))
            // Would-block is an answer that some kernels give to a poll that lost a race: ask again.
            if error == .resourceTemporarilyUnavailable { submitReceive() } else { receiveFailure = error }
        }
        return isPushing ? nil : transport?.becameReadable()
    }

    /// Delivers what has come, and asks for more.
    private func push() {
        guard let transport else { return }
        if !received.isEmpty {
            let bytes = UnsafeRawBufferPointer(rebasing: receiveBuffer[received])
            let (start, end) = (received.lowerBound, received.upperBound)
            let taken = transport.received(bytes)
            received = taken < bytes.count ? start + taken..<end : 0..<0
        }
        guard isPushing, received.isEmpty, !isDetached else { return }
        if receiveFailure == nil && !sawEnd { submitReceive() }
        if let error = receiveFailure {
            transport.failed(error, operation: "receive from")
        } else if sawEnd {
            transport.receivedEnd()
        }
    }

    private func submitReceive() {
        guard !isReceiving, !isDetached, received.isEmpty else { return }
        if receiveBuffer.baseAddress == nil {
            receiveBuffer = .allocate(byteCount: Self.bufferBytes, alignment: 64)
        }
        do {
            try loop.submit(
                .receive(socket: socket.number, into: receiveBuffer), kind: OperationToken.receive, of: self)
            isReceiving = true
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
        if !isSending && !isFlushQueued {
            isFlushQueued = true
            loop.queueAtEndOfTick(self)
        }
        return .bytes(count)
    }

    /// After `detach()` nobody waits for them any more.
    package override var unsentBytes: Int { isDetached ? 0 : pending.count + inFlight.count }

    private func submitSend() {
        guard !isSending, sendFailure == nil, !isDetached else { return }
        if inFlight.isEmpty { swap(&inFlight, &pending) }
        guard !inFlight.isEmpty else { return }
        do {
            try loop.submit(.send(socket: socket.number, bytes: inFlight.bytes), kind: OperationToken.send, of: self)
            isSending = true
        } catch {
            sendFailure = error
        }
    }

    private func sendCompleted(_ result: Int, returningJob: Bool) -> UnownedJob? {
        isSending = false
        let error = Errno(rawValue: CInt(clamping: -result))
        if result >= 0 || error == .resourceTemporarilyUnavailable {
            inFlight.removeFirst(min(max(result, 0), inFlight.count))
            submitSend()
        } else {
            sendFailure = error
            inFlight.removeAll()
            pending.removeAll()
        }
        guard let transport, !isDetached else { return nil }
        if let error = sendFailure {
            transport.failed(error, operation: "send to")
            return nil
        }
        guard isWriterBlocked || unsentBytes == 0 else {
            transport.flushed()
            return nil
        }
        isWriterBlocked = false
        return transport.becameWritable(returningJob: returningJob)
    }

    package override func shutdownWrite() {
        try? socket.shutdownWrite()
    }

    // MARK: Ending

    package override func detach() {
        guard !isDetached else { return }
        isDetached = true
        isPushing = false
        pending.removeAll()
        if isReceiving { loop.cancel(kind: OperationToken.receive, of: self) }
        if isSending { loop.cancel(kind: OperationToken.send, of: self) }
    }

    package override func closeSocket() {
        guard !isClosing else { return }
        isClosing = true
        detach()
        letTransportGo(loop)
        releaseIfQuiet()
    }

    /// Lets go of the socket and the buffers when the kernel uses neither.
    private func releaseIfQuiet() {
        guard isClosing, id != nil, !isReceiving && !isSending else { return }
        loop.unregister(self)
        closeSocketNow(loop)
    }

    /// The proactor does not come back with anything. It is closed before the loop lets go of its sources, so the buffers
    /// outlive what the kernel does with them.
    package override func loopClosed() {
        super.loopClosed()
        closeSocket()
        if id != nil, isReceiving || isSending { closeSocketNow(loop) }
    }
}
