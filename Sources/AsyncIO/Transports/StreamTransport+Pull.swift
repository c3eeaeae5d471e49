import AsyncIOSystem
import Synchronization

/// The pull style: a task receives into its own memory and sends from it. Functions that wait need a task on the loop.
extension StreamTransport {
    @inline(__always) var isOnLoop: Bool {
        // SAFETY: the transport retains its loop.
        Unmanaged.passUnretained(loop)._withUnsafeGuaranteedRef { $0.isOnLoop }
    }

    /// Calls the loop's function of the same name without retaining the loop.
    @inline(__always)
    func unretainedAffinityRecord(
        _ binding: inout TaskBinding, _ isolation: (any Actor)?
    ) -> (hasAffinity: Bool, record: Unmanaged<TaskRecord>?) {
        // SAFETY: as above.
        Unmanaged.passUnretained(loop)._withUnsafeGuaranteedRef { $0.unretainedAffinityRecord(&binding, isolation) }
    }

    /// Whether a receive is known to return nothing now, so that a task that reads must wait.
    @inline(__always)
    var hasNothing: Bool { !withDriver { $0.isReadable } && !state.reading.isOver && state.life == .open }

    /// Receives what has arrived. Returns 0 at EOF, and `nil` if nothing has arrived.
    @inline(__always) func receiveNow(into buffer: UnsafeMutableRawBufferPointer) throws -> Int? {
        if state.reading.isOver || state.life != .open { return try receiveAfterEnd() }
        if buffer.isEmpty { return 0 }
        switch withDriver({ $0.receive(into: buffer) }) {
        case .bytes(let count):
            if count == 0 { pulledEnd() }
            return count
        case .wouldBlock:
            // A filter may have ended the connection.
            return state.isLost ? try receiveAfterEnd() : nil
        case .failed(let error):
            failed(error, operation: "receive from")
            return try receiveAfterEnd()
        }
    }

    @inline(__always) var lendsBuffers: Bool { withDriver { $0.flags.contains(.lendsBuffers) } }

    /// Receives what has arrived in a buffer of the loop's pool, which then belongs to the caller. Returns `nil` if
    /// `receiveNow(into:)` has to be called.
    func receiveBufferNow() -> (buffer: PooledBuffer, byteCount: Int)? {
        state.reading.isOver || state.life != .open ? nil : withDriver { $0.receiveBuffer() }
    }

    private func receiveAfterEnd() throws -> Int {
        if lossError == nil, state.reading == .atEOF { return 0 }
        throw endError
    }

    /// Sends as many bytes as the kernel accepts now. Returns `nil` if it accepts none.
    ///
    /// - Parameter buffer: The buffer of the loop's pool that contains the bytes, if they are in one.
    @inline(__always)
    func sendNow(_ bytes: UnsafeRawBufferPointer, in buffer: PooledBuffer? = nil) throws -> Int? {
        // The kernel may accept megabytes at once, which is more than one connection's share of an iteration.
        let piece = UnsafeRawBufferPointer(
            start: bytes.baseAddress, count: min(bytes.count, IterationShare.bytesPerIteration))
        guard try maySend(piece.count) else { return nil }
        return try sent(
            withDriver { driver in
                guard let buffer else { return driver.send(piece) }
                return driver.send(piece, in: buffer)
            })
    }

    func sendNow(_ vector: WriteVector) throws -> Int? {
        guard try maySend(vector.count) else { return nil }
        return try sent(
            vector.withNextPieces(atMostBytes: IterationShare.bytesPerIteration) { pieces in
                withDriver { $0.send(pieces) }
            })
    }

    /// Whether a task may send now. Throws the reason if nothing may be sent any more.
    @inline(__always) func maySend(_ byteCount: Int) throws -> Bool {
        guard state.acceptsWrites || unsentBytesOfWrite > 0 && state.letsWritesFinish else { throw endError }
        // What was written before is sent first.
        return queue.isEmpty && withDriver { $0.grantsSend(of: byteCount) }
    }

    @inline(__always) func sent(_ result: IOResult) throws -> Int? {
        switch result {
        case .bytes(let count):
            writtenBytes.store(writtenBytes.load(ordering: .relaxed) &+ count, ordering: .relaxed)
            return count
        case .wouldBlock:
            if state.isLost { throw endError }
            return nil
        case .failed(let error):
            failed(error, operation: "send to")
            throw endError
        }
    }

    /// Suspends until a receive may succeed or the connection is lost. `StreamReader` ensures that no other task reads.
    ///
    /// Every read tries first. This function is inlined, so that the task suspends in the frame of the read itself,
    /// because each further suspended function would cost a look-up of the task's executor.
    ///
    /// SAFETY: the record is not retained. It belongs to the current task and lives as long as the task.
    @inline(__always) func waitUntilReadable(_ record: Unmanaged<TaskRecord>?) async throws {
        guard readWaiter.isEmpty else { throw EventLoopError.busy("read from this connection") }
        guard let record else { return try await wait(in: \.readWaiter) }
        let isolation = #isolation
        try record._withUnsafeGuaranteedRef { try $0.beginWait() }
        readWaiter = StreamWaiter(record)
        await suspendInPlace { continuation in
            record._withUnsafeGuaranteedRef { $0.suspend(continuation, isolation) }
        }
        // A cancellation does not remove it.
        readWaiter = StreamWaiter()
        try record._withUnsafeGuaranteedRef { try $0.endWait() }
    }

    func waitUntilReadable(_ record: TaskRecord?) async throws {
        try await waitUntilReadable(record.map(Unmanaged.passUnretained))
    }

    /// Suspends until a send may succeed or the connection is lost. The task is the current writer.
    func waitUntilWritable(_ record: TaskRecord?) async throws {
        guard writeWaiter.isEmpty else { throw EventLoopError.busy("write to this connection") }
        guard let record else { return try await wait(in: \.writeWaiter) }
        let isolation = #isolation
        try record.beginWait()
        writeWaiter = StreamWaiter(Unmanaged.passUnretained(record))
        await suspendInPlace { record.suspend($0, isolation) }
        writeWaiter = StreamWaiter()
        try record.endWait()
    }

    /// Waits as the functions above do, in a task that the loop has not started.
    @inline(never)
    private func wait(in waiter: ReferenceWritableKeyPath<StreamTransport, StreamWaiter>) async throws {
        let token = loop.makeWaiter()
        self[keyPath: waiter] = StreamWaiter(token)
        let outcome = await loop.suspend(token, nil)
        self[keyPath: waiter] = StreamWaiter()
        if outcome == .cancelled { throw CancellationError() }
    }

    /// Suspends until the kernel has accepted all bytes that were written. The task is the current writer.
    func waitUntilFlushed(_ record: TaskRecord?) async throws {
        while true {
            if state.isClosing { throw endError }
            if writeBufferBytes == 0 { return }
            try await waitUntilWritable(record)
        }
    }

    /// Suspends until the socket is closed. Throws the reason if the connection was lost.
    func waitClosed(_ record: TaskRecord?) async throws {
        try await driver.waitUntilClosed(on: loop, record)
        if let lossError { throw lossError }
    }

    /// Why no further transfer is possible: the connection was lost, this side has closed it, or a write was cut off.
    var endError: any Error {
        if let lossError { return lossError }
        if loop.isClosed { return EventLoopError.closed }
        if state.writing != .cutOff { return EventLoopError.transportClosed }
        return EventLoopError.incompleteWrite(bytes: writeProgress?.sentBytes ?? 0, peer: peerAddress)
    }
}
