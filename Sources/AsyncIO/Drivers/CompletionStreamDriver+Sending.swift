import AsyncIOSystem
import Proactors
import SystemPackage

extension CompletionStreamDriver {
    // MARK: Sending without waiting

    /// The bytes of this iteration that will be sent with its wait.
    @inline(__always) var queuedImmediately: Int {
        immediate.epoch == loop.immediateSends.pointee.epoch ? Int(immediate.byteCount) : 0
    }

    @inline(__always) var isImmediateInFlight: Bool { isImmediateSubmitted && queuedImmediately > 0 }

    @inline(__always) func sendLater(_ bytes: UnsafeRawBufferPointer) -> IOResult {
        if queuedImmediately == 0 { queueImmediateSend() }
        loop.immediateSends.pointee.append(bytes, to: &immediate, pool)
        loop.core.pointee.budget.use(bytes.count)
        return .bytes(bytes.count)
    }

    /// Sends bytes in the buffer that the kernel has received them into, with the wait, so that even many bytes are
    /// neither copied nor sent by a system call of their own.
    func sendLater(_ bytes: UnsafeRawBufferPointer, in buffer: PooledBuffer) -> IOResult {
        queueImmediateSend()
        loop.immediateSends.pointee.take(bytes, in: buffer, as: &immediate)
        loop.core.pointee.budget.use(bytes.count)
        return .bytes(bytes.count)
    }

    @inline(__always) private func queueImmediateSend() {
        isImmediateSubmitted = false
        if immediateToken == nil { immediateToken = loop.makeToken(for: self) }
        loop.immediateSends.pointee.queue(self)
    }

    /// Returns what was written in this iteration, to be sent now.
    func beginImmediateSend() -> ImmediateSend? {
        guard phase == .open, queuedImmediately > 0, !isImmediateSubmitted, let immediateToken else { return nil }
        isImmediateSubmitted = true
        return ImmediateSend(immediate.bytes, on: channel.socket, token: immediateToken.bits)
    }

    /// Whether something waits until the send has ended.
    var awaitsImmediateSend: Bool { isWriterBlocked || heldDelegate.awaitsFlush }

    /// The socket did not take all bytes. The others precede what was written meanwhile.
    func immediateSendFailed(_ result: Int) {
        guard isImmediateInFlight else { return }
        let unsent = UnsafeRawBufferPointer(rebasing: immediate.bytes.dropFirst(max(result, 0)))
        immediate.removeAll()
        let error = Errno(rawValue: CInt(truncatingIfNeeded: -min(result, 0)))
        if result < 0, !error.hadNoEffect { return sendFailed(error) }
        guard phase == .open else { return }
        createWaitingSendsIfNeeded().inFlight.append(unsent)
        submitSend()
    }

    /// Called when the bytes of this connection were sent, if something waits for that.
    func immediateSendEnded() {
        // A failure has been handled already.
        if waiting?.operation != nil || sendFailure != nil { return }
        submitSend()
        isSendReported = true
        loop.queue(self)
    }

    /// Sends from the caller's memory. What the socket does not take is stored.
    func sendAtOnce(_ bytes: UnsafeRawBufferPointer) -> IOResult {
        let queued = UnsafeRawBufferPointer(rebasing: immediate.bytes.prefix(queuedImmediately))
        var isFull = false
        if !queued.isEmpty {
            // They precede these.
            immediate.removeAll()
            switch loop.sendAtOnce(queued, on: channel.socket) {
            case .bytes(let count) where count == queued.count: break
            case .failed(let error): return failLater(error)
            case .bytes(let count):
                createWaitingSendsIfNeeded().pending.append(UnsafeRawBufferPointer(rebasing: queued[count...]))
                isFull = true
            case .wouldBlock:
                createWaitingSendsIfNeeded().pending.append(queued)
                isFull = true
            }
        }
        if isFull { return store(bytes) }
        let result = loop.sendAtOnce(bytes, on: channel.socket)
        if case .failed(let error) = result { return failLater(error) }
        var sent = 0
        if case .bytes(let count) = result { sent = count }
        loop.core.pointee.budget.use(sent)
        if sent == bytes.count { return result }
        guard case .bytes(let stored) = store(UnsafeRawBufferPointer(rebasing: bytes[sent...])) else { return result }
        return .bytes(sent + stored)
    }

    /// Reports the error in the next iteration, because the completion of a receive may have a better one.
    private func failLater(_ error: Errno) -> IOResult {
        sendFailed(error)
        loop.queue(self)
        return .wouldBlock
    }

    // MARK: Sending as an operation

    private func createWaitingSendsIfNeeded() -> WaitingSends {
        if let waiting { return waiting }
        let created = WaitingSends()
        waiting = created
        return created
    }

    func store(_ bytes: UnsafeRawBufferPointer) -> IOResult {
        let waiting = createWaitingSendsIfNeeded()
        let room = Self.bufferBytes - waiting.pending.count
        guard room > 0 else {
            isWriterBlocked = true
            return .wouldBlock
        }
        let count = min(room, bytes.count)
        waiting.pending.append(UnsafeRawBufferPointer(rebasing: bytes[..<count]))
        loop.core.pointee.budget.use(count)
        if count < bytes.count { isWriterBlocked = true }
        if isImmediateInFlight {
            loop.immediateSends.pointee.notify(self)
        } else if waiting.operation == nil && !waiting.isFlushQueued {
            waiting.isFlushQueued = true
            loop.queueAtEndOfIteration(self)
        }
        return .bytes(count)
    }

    func submitSend() {
        guard let waiting, waiting.operation == nil, sendFailure == nil, phase == .open else { return }
        if waiting.inFlight.isEmpty { swap(&waiting.inFlight, &waiting.pending) }
        guard !waiting.inFlight.isEmpty else { return }
        do {
            waiting.operation = try loop.submit(.send(waiting.inFlight.bytes, on: channel.socket), for: self)
        } catch {
            sendFailed(error)
        }
    }

    func sendFailed(_ error: Errno) {
        sendFailure = error
        isSendReported = true
        if waiting?.operation == nil { waiting?.inFlight.removeAll() }
        waiting?.pending.removeAll()
    }

    /// Sends from a file now. If the socket has no room, a poll reports when it has.
    func sendFileNow(_ file: FileDescriptor, offset: Int64, byteCount: Int) -> IOResult {
        if let error = sendError { return .failed(error) }
        guard phase == .open, unsentBytes == 0, waiting?.filePoll == nil else { return .wouldBlock }
        guard known.writingShare.isLeft(in: loop.core.pointee.tick) else {
            isWriterBlocked = true
            isSendReported = true
            loop.queue(self)
            return .wouldBlock
        }
        let result = channel.sendFile(file, offset: offset, byteCount: byteCount, loop.core)
        switch result {
        case .bytes(let count):
            known.writingShare.use(count)
            loop.core.pointee.budget.use(count)
        case .wouldBlock:
            do {
                createWaitingSendsIfNeeded().filePoll = try loop.submit(
                    .poll(channel.descriptor, for: .write), for: self)
            } catch {
                return .failed(error)
            }
        case .failed: break
        }
        return result
    }

    func sendCompleted(_ operation: SlotID, _ result: Int) {
        guard let waiting else { return }
        isSendReported = true
        if operation == waiting.filePoll {
            // If the poll has failed, the next call finds the reason.
            waiting.filePoll = nil
            isWriterBlocked = true
            return
        }
        waiting.operation = nil
        let error = Errno(rawValue: CInt(clamping: -result))
        if result >= 0 || error.hadNoEffect {
            waiting.inFlight.removeFirst(min(max(result, 0), waiting.inFlight.count))
            submitSend()
        } else {
            sendFailed(error)
        }
    }

    /// A reset is reported to the operation that finds it first, and the other one gets `EPIPE`.
    var sendError: Errno? { sendFailure.map { receiveFailure ?? $0 } }

    /// Reports what the sends that have ended have changed.
    func reportSend(returningJob: Bool) -> UnownedJob? {
        guard let delegate, phase == .open else { return nil }
        if let error = sendError {
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
}
