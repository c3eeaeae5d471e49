import AsyncIOSystem
import CAsyncIO
import Selectors
import SystemPackage

/// Receives when the selector has reported that the socket is readable.
final class ReadinessDatagramDriver: CollectingDatagramDriver {
    /// The most system calls per run, so that a flood of datagrams does not make the others wait.
    private static let mostReceives = 4

    @exclusivity(unchecked) private var known = ReadinessState()

    /// Creates the driver and registers the descriptor. Throws with the socket closed.
    init(
        _ socket: Socket, family: SocketAddress.Family?, isConnected: Bool, on loop: EventLoop, trigger: Trigger
    ) throws(Errno) {
        super.init(socket, family: family, isConnected: isConnected, on: loop)
        known.registered(for: .read, trigger)
        do {
            try loop.watch(socket.descriptor, self, for: .read, trigger)
        } catch {
            close()
            throw error
        }
    }

    override func startReceiving() {
        super.startReceiving()
        if known.isReadable { runAgain(.read) }
    }

    override func waitForRoom() {
        known.sendWouldBlock()
        becameUnready(.write)
    }

    override func run() -> UnownedJob? {
        let reported = readiness
        readiness = []
        isRunning = true
        var job: UnownedJob?
        if reported.contains(.read) {
            _ = known.becameReadable()
            if isReceiving { job = receive() } else { ignore(.read) }
        }
        if reported.contains(.write), known.becameWritable() { ignore(.write) }
        isRunning = false
        flush()
        // After a run that was queued for that, too.
        if known.isWritable { flushWaiting() }
        return job
    }

    private func receive() -> UnownedJob? {
        var job: UnownedJob?
        for _ in 0..<Self.mostReceives {
            guard isReceiving, known.isReadable else { return job }
            guard known.readingShare.isLeft(in: loop.core.pointee.tick),
                loop.core.pointee.budget.allowsReceive || takeGrant(.read)
            else { break }
            job = receiveOnce() ?? job
        }
        if isReceiving, known.isReadable { runAgain(.read) }
        return job
    }

    private func receiveOnce() -> UnownedJob? {
        var isDrained = false
        let result =
            takesLargeDatagrams
            ? receive(memory.pointee.largeSlots, &isDrained) : receive(memory.pointee.slots, &isDrained)
        if result > 0 {
            if isDrained { drained() }
            let (count, byteCount) =
                takesLargeDatagrams
                ? take(result, memory.pointee.largeSlots) : take(result, memory.pointee.slots)
            known.readingShare.use(byteCount)
            loop.core.pointee.budget.use(byteCount)
            let job = deliver(count)
            flush()
            return job
        }
        let error = Errno(rawValue: CInt(truncatingIfNeeded: -result))
        if error == .resourceTemporarilyUnavailable || error == .wouldBlock {
            drained()
        } else {
            receiveFailed(error)
        }
        return nil
    }

    private func receive(_ slots: borrowing MessageVector, _ isDrained: inout Bool) -> Int {
        loop.core.receiveMessages(socket, slots.messages, slots.capacity, &isDrained)
    }

    /// Lists the first `count` messages for the delegate, and makes their slots ready for the next receive. Returns the
    /// number of datagrams that are whole.
    @inline(__always)
    private func take(_ count: Int, _ slots: borrowing MessageVector) -> (count: Int, byteCount: Int) {
        var (whole, byteCount) = (0, 0)
        for index in 0..<count {
            let message = slots.messages + index
            let datagram = ReceivedDatagram(
                bytes: UnsafeRawBufferPointer(
                    start: slots.pieces[index].iov_base, count: Int(message.pointee.byte_count)),
                address: UnsafeRawPointer(slots.address(index)), addressLength: Int(aio_message_address_length(message))
            )
            aio_message_set_address_length(message, socklen_t(MemoryLayout<sockaddr_storage>.size))
            if aio_message_is_truncated(message) {
                reportTruncated(from: datagram.sender, roomBytes: slots.pieces[index].iov_len)
                continue
            }
            memory.pointee.received[whole] = datagram
            whole += 1
            byteCount += datagram.bytes.count
        }
        return (whole, byteCount)
    }

    private func drained() {
        known.receiveWouldBlock()
        becameUnready(.read)
    }

    private func runAgain(_ direction: Readiness) {
        readiness.insert(direction)
        loop.queue(self)
    }

    // MARK: Interest

    /// The direction was known to be ready, or nothing needs it. A level-triggered selector would report it again.
    private func ignore(_ direction: Interest) {
        if known.trigger == .level { setInterest(known.interest.subtracting(direction)) }
    }

    @inline(__always) private func becameUnready(_ direction: Interest) {
        if !known.interest.contains(direction) { setInterest(known.interest.union(direction)) }
    }

    @inline(never) private func setInterest(_ wanted: Interest) {
        guard phase == .open, wanted != known.interest else { return }
        do {
            try loop.rewatch(socket.descriptor, self, from: known.interest, to: wanted, known.trigger)
            known.watched(for: wanted)
        } catch {
            // No event would be reported any more. Called later, because this may be in the middle of a send.
            let failure = IOError(error, operation: "watch the datagram endpoint on", address: socket.localAddress)
            loop.callSoon { [self] in delegate?.ended(with: failure) }
        }
    }
}
