#if os(Linux)
import CAsyncIO
import SystemPackage

extension IOUringProactor {
    public func cancel(_ kind: ProactorOperation.Kind, token: UInt64) {
        if !isOurs || isClosed { return }
        let userData = UserData.of(kind, token)
        if revoke(userData) {
            operationCount -= 1
            earlyCompletions.append(Completion(token: token, result: -Int(Errno.canceled.rawValue)))
            return
        }
        var entry = aio_ring_submission()
        entry.opcode = AIO_RING_ASYNC_CANCEL
        entry.fd = -1
        entry.address = userData
        entry.user_data = Self.ignored
        // If there is nothing to cancel, this completes with an error that nobody needs.
        entry.flags = AIO_RING_SKIP_SUCCESS
        push(&entry)
        // An operation holds the file. Streams are closed by operations, which are behind the cancellations. Others may
        // close the descriptor when this returns, and expect EOF to be sent or the port to be free.
        if kind != .receiveIntoPool, kind != .send { flush() }
    }

    /// Revokes a submission that the kernel has not taken, because its descriptor may belong to another file before it
    /// does.
    private func revoke(_ userData: UInt64) -> Bool {
        for index in backlog.indices where backlog[index].user_data == userData {
            Self.revoke(&backlog[index])
            return true
        }
        for index in 0..<aio_ring_unsubmitted(ring) {
            guard let entry = aio_ring_unsubmitted_at(ring, index), entry.pointee.user_data == userData else {
                continue
            }
            Self.revoke(&entry.pointee)
            return true
        }
        return false
    }

    private static func revoke(_ entry: inout aio_ring_submission) {
        entry = aio_ring_submission()
        entry.opcode = AIO_RING_NOP
        entry.flags = AIO_RING_SKIP_SUCCESS
        entry.user_data = ignored
    }
}
#endif
