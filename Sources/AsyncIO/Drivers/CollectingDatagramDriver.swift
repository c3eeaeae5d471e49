import AsyncIOSystem
import CAsyncIO
import SystemPackage

/// A datagram driver that sends by system calls that do not wait, several datagrams each, and stores what the socket
/// has no room for. Both drivers send in this way, because a datagram rarely has to wait; the wait for room differs.
package class CollectingDatagramDriver: DatagramDriver {
    /// Receives that may fail in a row. One more ends the endpoint, which would otherwise use the processor forever.
    private static let mostFailuresInARow = 16
    private static let mostRetryMilliseconds = 64

    /// Whether the socket has a fixed peer, so that datagrams are sent without an address.
    final let isConnected: Bool
    final let family: SocketAddress.Family?
    final let memory: UnsafeMutablePointer<DatagramMemory>
    /// Datagrams that the socket had no room for.
    @exclusivity(unchecked) final var waiting = DatagramQueue()
    /// Whether this source runs now. What is sent meanwhile is sent at the end of the run.
    @exclusivity(unchecked) final var isRunning = false
    @exclusivity(unchecked) private final var isFlushQueued = false
    /// Errors of sends since the last report.
    @exclusivity(unchecked) private final var unreported: [IOError] = []
    @exclusivity(unchecked) private final var isReportNeeded = false
    /// The index of the last message of the vector that could not be sent; -1 for none.
    @exclusivity(unchecked) private final var failedIndex = -1
    private final var retryTimer = SlotID.stale
    private final var retryMilliseconds = 1
    @exclusivity(unchecked) private final var failuresInARow = 0

    init(_ socket: Socket, family: SocketAddress.Family?, isConnected: Bool, on loop: EventLoop) {
        self.isConnected = isConnected
        self.family = family
        memory = loop.core.makeDatagramMemory()
        super.init(socket, on: loop)
    }

    /// Waits until the socket has room, and then calls `flushWaiting()`.
    func waitForRoom() {}

    // MARK: Receiving

    /// The slots that the socket's largest datagrams fit into.
    final var takesLargeDatagrams: Bool { family == .unix }

    final func deliver(_ count: Int) -> UnownedJob? {
        failuresInARow = 0
        return delegate?.received(UnsafeBufferPointer(start: memory.pointee.received, count: count))
    }

    /// A receive has failed: because of an earlier datagram that did not arrive, or the system lacks something.
    final func receiveFailed(_ error: Errno) {
        failuresInARow += 1
        let failure = IOError(error, operation: "receive datagrams on", address: socket.localAddress?.nilIfUnnamed)
        if failuresInARow > Self.mostFailuresInARow {
            delegate?.ended(with: failure)
        } else {
            delegate?.failed(failure)
        }
    }

    /// The bytes that have been received are not a datagram.
    final func reportTruncated(from sender: SocketAddress?, roomBytes: Int) {
        delegate?.failed(
            IOError(
                .messageTooLong, operation: "receive a datagram of more than \(roomBytes) bytes from",
                address: sender?.nilIfUnnamed))
    }

    // MARK: Sending

    package final override var waitingBytes: Int { waiting.byteCount }

    package final override var hasCollected: Bool { memory.pointee.isCollecting(for: self) }

    package final override func discardUnsent() {
        waiting.removeAll()
        if hasCollected { memory.pointee.removeCollected() }
        cancelRetry()
    }

    package final override func send(_ bytes: UnsafeRawBufferPointer, to address: SocketAddress?) {
        guard waiting.isEmpty, bytes.count <= DatagramMemory.mostCollectedBytes else {
            return sendWithoutCollecting(bytes, address)
        }
        if !memory.pointee.isCollecting(for: self) { beginCollecting() }
        if !memory.pointee.hasRoom(for: bytes.count) {
            passToKernel()
            if !waiting.isEmpty { return waiting.append(bytes, to: address) }
        }
        memory.pointee.collect(bytes, to: address, for: self)
    }

    /// Passes on what another driver has collected, and makes sure that `flush()` will be called.
    @inline(never) private final func beginCollecting() {
        passOnOthers()
        scheduleFlush()
    }

    private final func scheduleFlush() {
        if isRunning || isFlushQueued { return }
        isFlushQueued = true
        loop.queueAtEndOfIteration(self)
    }

    private final func passOnOthers() {
        guard let sender = memory.pointee.sender else { return }
        // SAFETY: a driver removes what it has collected before it is released.
        sender._withUnsafeGuaranteedRef { if $0 !== self { $0.passToKernel() } }
    }

    /// Sends a datagram behind those that wait, or one that is too large to be copied.
    @inline(never)
    private final func sendWithoutCollecting(_ bytes: UnsafeRawBufferPointer, _ address: SocketAddress?) {
        passToKernel()
        guard waiting.isEmpty else { return waiting.append(bytes, to: address) }
        beginCollecting()
        transmit(bytes, to: address)
    }

    package final override func sendAtOnce(
        _ bytes: UnsafeRawBufferPointer, to address: SocketAddress?
    ) throws(Errno) {
        var index = 0
        if memory.pointee.isCollecting(for: self), bytes.count <= DatagramMemory.mostCollectedBytes,
            memory.pointee.hasRoom(for: bytes.count)
        {
            // With those that were collected, by one system call.
            index = memory.pointee.collectedCount
            memory.pointee.collect(bytes, to: address, for: self)
            passToKernel()
        } else {
            passToKernel()
            guard waiting.isEmpty else { return waiting.append(bytes, to: address) }
            passOnOthers()
            transmit(bytes, to: address)
        }
        if failedIndex == index { throw unreported.removeLast().errno }
        // An error of an earlier datagram.
        if isReportNeeded { scheduleFlush() }
    }

    /// Sends one datagram from the caller's memory, or stores it.
    private final func transmit(_ bytes: UnsafeRawBufferPointer, to address: SocketAddress?) {
        let place = memory.pointee.sends.address(0)
        memory.pointee.sends.set(0, bytes, place, address?.write(to: place) ?? 0)
        loop.core.pointee.budget.use(bytes.count)
        if transmit(1) == 1 { return }
        waiting.append(bytes, to: address)
        waitForRoomOrRetry()
    }

    package final override func endOfIteration() {
        isFlushQueued = false
        flush()
    }

    /// Passes the datagrams that this driver has collected to the kernel, and reports what has happened since the last
    /// report. The delegate calls the protocol, which may send and close.
    final func flush() {
        passToKernel()
        guard isReportNeeded else { return }
        isReportNeeded = false
        if !unreported.isEmpty {
            let failures = unreported
            unreported = []
            for failure in failures { delegate?.failed(failure) }
        }
        delegate?.flushed()
    }

    /// Passes the datagrams that this driver has collected to the kernel, and stores those that it has no room for.
    package final override func passToKernel() {
        guard memory.pointee.isCollecting(for: self) else { return }
        let count = memory.pointee.collectedCount
        loop.core.pointee.budget.use(memory.pointee.collectedByteCount)
        let handled = transmit(count)
        for index in handled..<count { storeCollected(index) }
        memory.pointee.removeCollected()
        isReportNeeded = true
        if handled < count { waitForRoomOrRetry() }
    }

    private final func storeCollected(_ index: Int) {
        let message = memory.pointee.sends.messages + index
        let piece = memory.pointee.sends.pieces[index]
        waiting.append(
            UnsafeRawBufferPointer(start: piece.iov_base, count: piece.iov_len),
            address: UnsafeRawBufferPointer(
                start: aio_message_address(message), count: Int(aio_message_address_length(message))))
    }

    /// Sends the datagrams that wait, as far as the socket has room, and one system call goes.
    final func flushWaiting() {
        guard phase == .open, !waiting.isEmpty else { return }
        passOnOthers()
        let count = waiting.forEach(atMost: DatagramMemory.sentAtOnce) { index, bytes, address in
            let place = address.baseAddress ?? UnsafeRawPointer(memory.pointee.sends.address(index))
            memory.pointee.sends.set(index, bytes, place, address.count)
        }
        let sizeBefore = waiting.byteCount
        let handled = transmit(count)
        waiting.removeFirst(handled)
        loop.core.pointee.budget.use(sizeBefore - waiting.byteCount)
        if handled > 0 { retryMilliseconds = 1 }
        if handled < count {
            waitForRoomOrRetry()
        } else if !waiting.isEmpty {
            // The next ones are sent in the next iteration.
            loop.queue(self)
        }
        isReportNeeded = true
        flush()
    }

    /// Sends the first `count` messages of the vector. Returns how many of them were sent or have failed, before the
    /// first one that has to wait.
    private final func transmit(_ count: Int) -> Int {
        var index = 0
        failedIndex = -1
        // The message that was sent again after an error.
        var repeated = -1
        while index < count {
            let result = loop.core.sendMessages(socket, memory.pointee.sends.messages + index, count - index)
            if result > 0 {
                index += result
                continue
            }
            let error = Errno(rawValue: CInt(truncatingIfNeeded: -result))
            if error == .resourceTemporarilyUnavailable || error == .wouldBlock { break }
            if index != repeated {
                unreported.append(sendError(error, of: index))
                isReportNeeded = true
            }
            if index != repeated, mayBeOfAnotherDatagram(error) {
                repeated = index
            } else {
                failedIndex = index
                index += 1
            }
        }
        return index
    }

    /// A connected IP socket reports what ICMP says of an earlier datagram with the next call, which then does nothing.
    private final func mayBeOfAnotherDatagram(_ error: Errno) -> Bool {
        isConnected && family != .unix && error != .messageTooLong && error != .invalidArgument
    }

    private final func sendError(_ error: Errno, of index: Int) -> IOError {
        let message = memory.pointee.sends.messages + index
        let length = Int(aio_message_address_length(message))
        let address = aio_message_address(message).flatMap { SocketAddress(at: $0, byteCount: length) }
        return IOError(error, operation: "send a datagram to", address: address ?? socket.peerAddress?.nilIfUnnamed)
    }

    // MARK: Waiting for room

    /// A unix socket without a fixed peer has no event for room in the queue of a receiver.
    private final func waitForRoomOrRetry() {
        guard family == .unix, !isConnected else { return waitForRoom() }
        if retryTimer != .stale || phase != .open { return }
        retryTimer = loop.callLater(after: .milliseconds(retryMilliseconds)) { [weak self] in self?.retry() }.id
        retryMilliseconds = min(2 * retryMilliseconds, Self.mostRetryMilliseconds)
    }

    private final func retry() {
        retryTimer = .stale
        flushWaiting()
    }

    private final func cancelRetry() {
        if retryTimer != .stale { loop.cancelCallback(retryTimer) }
        retryTimer = .stale
    }
}

extension SocketAddress {
    var nilIfUnnamed: SocketAddress? { isUnnamed ? nil : self }
}
