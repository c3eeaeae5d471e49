#if os(Linux)
import AsyncIOSystem
import CAsyncIO

extension IOUringProactor {
    public func close() {
        if isClosed { return }
        if isOurs, isEnabled { cancelAll() }
        if isOurs, !isEnabled { closeDescriptors() }
        isClosed = true
        if isOurs { aio_ring_close(ring) } else { aio_ring_close_inherited(ring) }
        // Otherwise the memory is never freed, because the kernel may still write to it.
        guard !hasUnfinishedOperations else { return }
        for index in groups.indices { groups[index]?.removeAll(pool) }
        for status in statuses.values { status.statx.deallocate() }
        freeCopies()
    }

    /// Without a wait, the kernel has taken nothing. Descriptors that were to be closed are closed here.
    private func closeDescriptors() {
        operationCount = 0
        for index in 0..<aio_ring_unsubmitted(ring) {
            guard let entry = aio_ring_unsubmitted_at(ring, index)?.pointee else { continue }
            if entry.opcode == AIO_RING_CLOSE { _ = aio_close(entry.fd) }
        }
        for entry in backlog where entry.opcode == AIO_RING_CLOSE { _ = aio_close(entry.fd) }
    }

    /// Cancels all operations and waits until they have completed, or the time is over.
    private func cancelAll() {
        // Sends that the kernel has not taken yet are carried out first.
        _ = submitAll()
        var entry = aio_ring_submission()
        entry.opcode = AIO_RING_ASYNC_CANCEL
        entry.fd = -1
        entry.operation_flags = AIO_RING_CANCEL_ALL | AIO_RING_CANCEL_ANY
        entry.user_data = Self.ignored
        push(&entry)
        isDraining = true
        let deadline = MonotonicClock.now.nanoseconds + Self.longestCloseNanoseconds
        while operationCount > 0 {
            let rest = deadline - MonotonicClock.now.nanoseconds
            var completions: [Completion] = []
            if rest <= 0 || (try? wait(timeoutNanoseconds: rest, into: &completions)) == nil { return }
            for case let buffer? in completions.map(\.buffer) { buffers.put(buffer.memory, buffer.size) }
        }
    }
}
#endif
