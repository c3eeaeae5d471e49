import AsyncIOSystem
import Proactors
import SystemPackage

/// Receives with one operation that completes for each datagram, with a buffer of the loop's pool. The buffers of one
/// iteration are delivered together. Those that are not delivered yet cancel the receive from a number on.
final class CompletionDatagramDriver: CollectingDatagramDriver {
    private static let mostReceived = 64

    private var proactor: ProactorEventLoop { unsafeDowncast(loop, to: ProactorEventLoop.self) }

    @exclusivity(unchecked) private var received = ReusedList<PooledMessage>()
    @exclusivity(unchecked) private var receiveFailures: [Errno] = []
    @exclusivity(unchecked) private var receiveOperation: SlotID?
    @exclusivity(unchecked) private var isReceiveCancelled = false
    @exclusivity(unchecked) private var isDelivering = false
    /// Waits until the socket has room.
    private var pollOperation: SlotID?
    private var hasRoom = false

    init(_ socket: Socket, family: SocketAddress.Family?, isConnected: Bool, on loop: ProactorEventLoop) {
        super.init(socket, family: family, isConnected: isConnected, on: loop)
        loop.claim(socket.descriptor, for: self)
    }

    override func startReceiving() {
        super.startReceiving()
        loop.queue(self)
    }

    override func detach() {
        if phase != .open { return }
        super.detach()
        putReceived()
        // The descriptor may be closed when these have returned.
        if let receiveOperation { proactor.cancel(receiveOperation, .receiveMessages) }
        if let pollOperation { proactor.cancel(pollOperation, .poll) }
    }

    // MARK: Completions

    override func completed(_ completion: OperationCompletion) -> Bool {
        if completion.operation == pollOperation {
            pollOperation = nil
            hasRoom = true
        } else {
            receiveCompleted(completion)
        }
        return phase == .open
    }

    private func receiveCompleted(_ completion: OperationCompletion) {
        if !completion.hasMore {
            receiveOperation = nil
            isReceiveCancelled = false
        }
        if let buffer = completion.buffer {
            guard phase == .open else { return proactor.chunkPool.put(buffer.memory, buffer.size) }
            received.append(PooledMessage(buffer, usedBytes: completion.result))
            if received.count >= Self.mostReceived { cancelReceive() }
        } else if completion.result < 0 {
            let error = Errno(rawValue: CInt(truncatingIfNeeded: -completion.result))
            // The first was requested; the proactor had no buffer; the operation lost a race on some kernels.
            if error != .canceled, error != .noBufferSpace, error != .resourceTemporarilyUnavailable {
                receiveFailures.append(error)
            }
        }
    }

    private func cancelReceive() {
        guard let receiveOperation, !isReceiveCancelled else { return }
        isReceiveCancelled = true
        proactor.cancel(receiveOperation, .receiveMessages)
    }

    override func run() -> UnownedJob? {
        isRunning = true
        var job: UnownedJob?
        if isReceiving {
            reportFailures()
            if !received.isEmpty, phase == .open { job = deliverReceived() }
            if receiveOperation == nil, isReceiving { submitReceive() }
        }
        isRunning = false
        flush()
        if hasRoom || !waiting.isEmpty && pollOperation == nil {
            hasRoom = false
            flushWaiting()
        }
        return job
    }

    private func reportFailures() {
        if receiveFailures.isEmpty { return }
        let failures = receiveFailures
        receiveFailures = []
        for failure in failures { receiveFailed(failure) }
    }

    /// Delivers everything, because the receive was cancelled when there was much.
    private func deliverReceived() -> UnownedJob? {
        var job: UnownedJob?
        isDelivering = true
        var start = 0
        while start < received.count, phase == .open {
            let end = min(start + DatagramMemory.sentAtOnce, received.count)
            let count = list(start..<end)
            job = deliver(count) ?? job
            flush()
            start = end
        }
        isDelivering = false
        putReceived()
        return job
    }

    /// Lists received messages for the delegate, and returns the number of those that are whole.
    @inline(__always) private func list(_ range: Range<Int>) -> Int {
        var (count, byteCount) = (0, 0)
        for index in range {
            let message = received.elements[index]
            if message.isTruncated {
                let sender = SocketAddress(at: message.address, byteCount: message.addressLength)
                reportTruncated(from: sender, roomBytes: message.buffer.size.byteCount - PooledMessage.headerBytes)
                continue
            }
            memory.pointee.received[count] = ReceivedDatagram(
                bytes: message.bytes, address: message.address, addressLength: message.addressLength)
            count += 1
            byteCount += message.bytes.count
        }
        loop.core.pointee.budget.use(byteCount)
        return count
    }

    /// Returns the buffers to the pool, except those that are being delivered.
    private func putReceived() {
        if isDelivering { return }
        for message in received.elements {
            proactor.unretainedPool.unsafelyUnwrapped.put(message.buffer.memory, message.buffer.size)
        }
        received.removeAll()
    }

    private func submitReceive() {
        guard phase == .open else { return }
        do {
            // Any datagram fits.
            receiveOperation = try proactor.submit(.receiveMessages(from: socket, size: .large), for: self)
        } catch {
            delegate?.ended(
                with: IOError(error, operation: "receive datagrams on", address: socket.localAddress?.nilIfUnnamed))
        }
    }

    override func waitForRoom() {
        guard phase == .open, pollOperation == nil else { return }
        do {
            pollOperation = try proactor.submit(.poll(socket.descriptor, for: .write), for: self)
        } catch {
            let failure = IOError(error, operation: "wait for room in the datagram endpoint on")
            loop.callSoon { [self] in delegate?.ended(with: failure) }
        }
    }
}
