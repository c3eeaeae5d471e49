#if os(Linux)
import AsyncIOSystem
import CAsyncIO
import SystemPackage

extension IOUringProactor {
    /// True: multishot receives of messages are as old as the other features that a ring needs.
    public var receivesMessages: Bool { true }

    /// Fills the submission entry of an operation of which the proactor keeps nothing but memory to copy.
    func prepare(_ entry: inout aio_ring_submission, _ operation: ProactorOperation) throws(Errno) {
        let memory = UInt64(UInt(bitPattern: operation.memory.baseAddress))
        let byteCount = UInt32(clamping: operation.memory.count)
        let offset = UInt64(bitPattern: operation.offset ?? -1)
        switch operation.kind {
        case .accept:
            set(&entry, AIO_RING_ACCEPT)
            entry.priority = AIO_RING_ACCEPT_MULTISHOT
            entry.operation_flags = AIO_RING_NEW_DESCRIPTOR
        case .connect:
            guard let address = operation.address else { throw .invalidArgument }
            let (copied, length) = address.withCAddress { storage, length in
                (copy(UnsafeRawBufferPointer(start: storage, count: Int(length))), length)
            }
            set(&entry, AIO_RING_CONNECT, copied)
            entry.offset = UInt64(length)
        case .receive:
            set(&entry, AIO_RING_RECV, memory, byteCount)
        case .send:
            set(&entry, AIO_RING_SEND, memory, byteCount)
            entry.operation_flags = AIO_RING_NO_SIGNAL
        case .receiveMessage:
            set(&entry, AIO_RING_RECVMSG, memory, 1)
        case .sendMessage:
            set(&entry, AIO_RING_SENDMSG, memory, 1)
            entry.operation_flags = AIO_RING_NO_SIGNAL
        case .poll:
            set(&entry, AIO_RING_POLL_ADD)
            entry.operation_flags = Self.pollEvents(operation.interest)
        case .read:
            set(&entry, AIO_RING_READ, memory, byteCount)
            entry.offset = offset
        case .write:
            set(&entry, AIO_RING_WRITE, memory, byteCount)
            entry.offset = offset
        case .fsync:
            set(&entry, AIO_RING_FSYNC)
            entry.operation_flags = operation.isDataOnly ? AIO_RING_DATA_ONLY : 0
        case .open:
            guard let path = operation.path, let (mode, options, permissions) = operation.opening else {
                throw .invalidArgument
            }
            set(&entry, AIO_RING_OPENAT, copy(path), UInt32(permissions?.rawValue ?? 0))
            entry.fd = AIO_RING_CURRENT_DIRECTORY
            entry.operation_flags =
                UInt32(bitPattern: mode.rawValue | options.rawValue) | AIO_RING_OPEN_CLOSE_ON_EXEC
        case .splice:
            guard let target = operation.target else { throw .invalidArgument }
            set(&entry, AIO_RING_SPLICE, offset, UInt32(clamping: target.byteCount))
            entry.fd = target.descriptor
            entry.offset = UInt64(bitPattern: target.offset ?? -1)
            entry.other_fd = operation.descriptor
        case .waitForChild:
            set(&entry, AIO_RING_WAITID, 0, AIO_RING_WAIT_PROCESS)
            entry.other_fd = AIO_RING_WAIT_EXITED
            entry.offset = memory
        case .close:
            set(&entry, AIO_RING_CLOSE)
        default: throw .notSupportedOnSocket
        }
    }

    private func set(
        _ entry: inout aio_ring_submission, _ operation: UInt8, _ address: UInt64 = 0, _ length: UInt32 = 0
    ) {
        entry.opcode = operation
        entry.address = address
        entry.length = length
    }

    // MARK: Readiness

    private static func pollEvents(_ interest: Interest) -> UInt32 {
        var events: UInt32 = 0
        if interest.contains(.read) { events |= AIO_EPOLLIN | AIO_EPOLLRDHUP }
        if interest.contains(.write) { events |= AIO_EPOLLOUT }
        return events
    }

    /// Errors and hang-ups make both directions ready.
    static func readiness(of bits: UInt32) -> Readiness {
        var readiness: Readiness = []
        if bits & ~AIO_EPOLLOUT != 0 { readiness.insert(.read) }
        if bits & ~(AIO_EPOLLIN | AIO_EPOLLRDHUP) != 0 { readiness.insert(.write) }
        if bits & (AIO_EPOLLRDHUP | AIO_EPOLLHUP | AIO_EPOLLERR) != 0 { readiness.insert(.hangup) }
        return readiness
    }
}
#endif
