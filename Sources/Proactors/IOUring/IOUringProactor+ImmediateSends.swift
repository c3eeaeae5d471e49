#if os(Linux)
public import AsyncIOSystem
import CAsyncIO

/// These sends have the flags `MSG_DONTWAIT`, `MSG_WAITALL` and "skip the completion on success". The kernel carries
/// them out while it takes their submissions, and never later, because they may not wait. So when io_uring_enter(2)
/// has returned and has taken the submission, exactly one of these is true:
/// - All bytes were copied into the socket's buffer, and there is no completion.
/// - The send was short or failed, and its completion is in the completion queue, or in the kernel's overflow list
///   if the queue was full.
///
/// Therefore a send was successful, and its memory is free, when the kernel has taken all submissions, the overflow
/// list is empty, which a flag in the submission ring shows, and the queue contained no completion for it. That is
/// `immediateSendsHaveEnded`. With at most one such send per socket in flight, no bytes can overtake others.
extension IOUringProactor {
    public var supportsImmediateTransfers: Bool { true }

    public func submitImmediateSends(_ sends: UnsafeBufferPointer<ImmediateSend>) {
        for send in sends { pushImmediateSend(send.bytes, on: send.socket, send.token | UserData.immediateSend) }
    }

    @inline(__always)
    private func pushImmediateSend(_ bytes: UnsafeRawBufferPointer, on socket: Socket, _ userData: UInt64) {
        var entry = Self.immediateSend(bytes, on: socket, userData)
        immediateSendsHaveEnded = false
        push(&entry)
    }

    @inline(__always)
    private static func immediateSend(
        _ bytes: UnsafeRawBufferPointer, on socket: Socket, _ userData: UInt64
    ) -> aio_ring_submission {
        var entry = aio_ring_submission()
        entry.opcode = AIO_RING_SEND
        entry.fd = socket.number
        entry.address = UInt64(UInt(bitPattern: bytes.baseAddress))
        entry.length = UInt32(clamping: bytes.count)
        entry.operation_flags = AIO_RING_NO_SIGNAL | AIO_RING_IMMEDIATE
        entry.flags = AIO_RING_SKIP_SUCCESS
        entry.user_data = userData
        return entry
    }

    public func sendAtOnce(_ bytes: UnsafeRawBufferPointer, on socket: Socket) -> IOResult {
        var entry = Self.immediateSend(bytes, on: socket, Self.synchronous)
        guard let result = carryOut(&entry) else { return socket.send(bytes) }
        return IOResult(cResult: result ?? bytes.count)
    }

    public func receiveAtOnce(into buffer: UnsafeMutableRawBufferPointer, from socket: Socket) -> IOResult {
        var entry = aio_ring_submission()
        entry.opcode = AIO_RING_RECV
        entry.fd = socket.number
        entry.address = UInt64(UInt(bitPattern: buffer.baseAddress))
        entry.length = UInt32(clamping: buffer.count)
        entry.operation_flags = AIO_RING_DO_NOT_WAIT
        entry.user_data = Self.synchronous
        guard let result = carryOut(&entry), let result else { return socket.receive(into: buffer) }
        return IOResult(cResult: result)
    }

    /// Submits everything, and an entry that does not wait. Returns its result, with `nil` for a completion that was
    /// skipped; or `nil` if the kernel has not taken it.
    private func carryOut(_ entry: inout aio_ring_submission) -> Int?? {
        // Before the first wait, the ring belongs to no thread.
        guard isEnabled, isOurs, !isClosed, backlog.isEmpty, aio_ring_push(ring, &entry) else { return nil }
        let count = aio_ring_ready(ring)
        let unsubmitted = aio_ring_unsubmitted(ring)
        let taken = aio_ring_submit(ring)
        if taken != CInt(unsubmitted) {
            // It is the last entry. The kernel has no memory for it, and must not find the caller's memory later.
            aio_ring_retract(ring)
            return nil
        }
        synchronousResult = nil
        for index in count..<max(aio_ring_ready(ring), count) {
            let entry = aio_ring_at(ring, index).pointee
            if entry.user_data == Self.synchronous { synchronousResult = Int(entry.result) }
        }
        if aio_ring_flags(ring) & AIO_RING_CQ_OVERFLOW != 0 {
            reap(into: &earlyCompletions)
            _ = reapOverflow(into: &earlyCompletions)
        }
        return .some(synchronousResult)
    }
}
#endif
