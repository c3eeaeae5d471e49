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
    public var sendsImmediately: Bool { true }

    public func submitImmediateSends(_ sends: UnsafeBufferPointer<ImmediateSend>) {
        for send in sends { pushImmediateSend(send.bytes, on: send.socket, send.token | UserData.immediateSend) }
    }

    @inline(__always)
    private func pushImmediateSend(_ bytes: UnsafeRawBufferPointer, on socket: Socket, _ userData: UInt64) {
        var entry = aio_ring_submission()
        entry.opcode = AIO_RING_SEND
        entry.fd = socket.number
        entry.address = UInt64(UInt(bitPattern: bytes.baseAddress))
        entry.length = UInt32(clamping: bytes.count)
        entry.operation_flags = AIO_RING_NO_SIGNAL | AIO_RING_IMMEDIATE
        entry.flags = AIO_RING_SKIP_SUCCESS
        entry.user_data = userData
        immediateSendsHaveEnded = false
        push(&entry)
    }

    public func sendAtOnce(_ bytes: UnsafeRawBufferPointer, on socket: Socket) -> IOResult {
        /// Before the first wait, the ring belongs to no thread.
        guard isEnabled, isOurs, !isClosed, submitAll() else { return socket.send(bytes) }
        synchronousResult = nil
        pushImmediateSend(bytes, on: socket, Self.synchronous)
        let count = aio_ring_ready(ring)
        if aio_ring_submit(ring) != 1 {
            /// The kernel has no memory for the operation, and must not find the bytes later.
            aio_ring_retract(ring)
            return socket.send(bytes)
        }
        for index in count..<max(aio_ring_ready(ring), count) {
            let entry = aio_ring_at(ring, index).pointee
            if entry.user_data == Self.synchronous { synchronousResult = Int(entry.result) }
        }
        if aio_ring_flags(ring) & AIO_RING_CQ_OVERFLOW != 0 {
            reap(into: &earlyCompletions)
            _ = reapOverflow(into: &earlyCompletions)
        }
        return IOResult(cResult: synchronousResult ?? bytes.count)
    }
}
#endif
