import AsyncIOSystem
import Synchronization

/// The pull style: a task takes and gives bytes itself, straight from and into its own memory.
extension StreamTransport {
    /// Whether the caller is on the loop of this connection.
    @inline(__always)
    var isOnLoop: Bool {
        // SAFETY: the transport holds its loop.
        Unmanaged.passUnretained(loop)._withUnsafeGuaranteedRef { $0.isOnLoop }
    }

    /// As the loop's function.
    @inline(__always)
    func unretainedHomeRecord(
        _ binding: inout TaskBinding, _ isolation: (any Actor)?
    ) -> (isHome: Bool, record: Unmanaged<TaskRecord>?) {
        // SAFETY: as above.
        Unmanaged.passUnretained(loop)._withUnsafeGuaranteedRef { $0.unretainedHomeRecord(&binding, isolation) }
    }

    /// Whether a receive is known to bring nothing now, and a task that reads must wait.
    @inline(__always)
    var hasNothing: Bool { !withDriver { $0.isReadable } && !state.reading.isOver && state.life == .open }

    /// Takes what has come; 0 at the end; `nil` if there is nothing now.
    @inline(__always)
    func receiveNow(into buffer: UnsafeMutableRawBufferPointer) throws -> Int? {
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

    private func receiveAfterEnd() throws -> Int {
        if lossError == nil, state.reading == .atEOF { return 0 }
        throw endError
    }

    /// Gives what the kernel takes now; `nil` if that is nothing.
    @inline(__always)
    func sendNow(_ bytes: UnsafeRawBufferPointer) throws -> Int? {
        // The kernel may take megabytes at once, which is more than one connection's share.
        let piece = UnsafeRawBufferPointer(
            start: bytes.baseAddress, count: min(bytes.count, IterationShare.bytesPerIteration))
        guard try maySend(piece.count) else { return nil }
        return try sent(withDriver { $0.send(piece) })
    }

    /// As `sendNow(_:)`, of as many pieces as one system call takes.
    func sendNow(_ vector: WriteVector) throws -> Int? {
        guard try maySend(vector.count) else { return nil }
        return try sent(
            vector.withNextPieces(atMostBytes: IterationShare.bytesPerIteration) { pieces in
                withDriver { $0.send(pieces) }
            })
    }

    /// Whether a task may send now. Throws why nothing may be sent any more.
    @inline(__always)
    private func maySend(_ byteCount: Int) throws -> Bool {
        guard state.acceptsWrites || unsentTurnBytes > 0 && state.letsWritesFinish else { throw endError }
        // What was written before goes first.
        return queue.isEmpty && withDriver { $0.grantsSend(of: byteCount) }
    }

    @inline(__always)
    private func sent(_ result: IOResult) throws -> Int? {
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

    /// Suspends until a receive may go on, or the connection is lost. On the loop, at home.
    ///
    /// This is the way in for every read: try, and if there is nothing, wait here and try again. It is inlined, so that
    /// the task suspends in the frame of the read itself; each further function that is suspended with it costs a
    /// look-up of the task's executor. One task at a time may wait: the reader makes sure.
    ///
    /// SAFETY: the record is not retained. It is the current task's, and lives as long as the task.
    @inline(__always)
    func waitUntilReadable(_ record: Unmanaged<TaskRecord>?) async throws {
        guard readWaiter.isEmpty else { throw EventLoopError.busy("read from this connection") }
        guard let record else { return try await waitUntilReadable() }
        let isolation = #isolation
        try record._withUnsafeGuaranteedRef { try $0.beginWait() }
        readWaiter = StreamWaiter(record)
        await suspendInPlace { continuation in
            record._withUnsafeGuaranteedRef { $0.suspend(continuation, isolation) }
        }
        // A cancellation leaves it behind.
        readWaiter = StreamWaiter()
        try record._withUnsafeGuaranteedRef { try $0.endWait() }
    }

    /// The same for less frequent reads.
    func waitUntilReadable(_ record: TaskRecord?) async throws {
        try await waitUntilReadable(record.map(Unmanaged.passUnretained))
    }

    /// The same for a task that the loop has not started.
    @inline(never)
    private func waitUntilReadable() async throws {
        let token = loop.makeWaiter()
        readWaiter = StreamWaiter(token)
        let outcome = await loop.suspend(token, nil)
        readWaiter = StreamWaiter()
        if outcome == .cancelled { throw CancellationError() }
    }

    /// Suspends until a send may go on, or the connection is lost. The task is on its loop and is the current writer.
    func waitUntilWritable(_ record: TaskRecord?) async throws {
        guard writeWaiter.isEmpty else { throw EventLoopError.busy("write to this connection") }
        guard let record else { return try await waitUntilWritable() }
        let isolation = #isolation
        try record.beginWait()
        writeWaiter = StreamWaiter(Unmanaged.passUnretained(record))
        await suspendInPlace { record.suspend($0, isolation) }
        writeWaiter = StreamWaiter()
        try record.endWait()
    }

    @inline(never)
    private func waitUntilWritable() async throws {
        let token = loop.makeWaiter()
        writeWaiter = StreamWaiter(token)
        let outcome = await loop.suspend(token, nil)
        writeWaiter = StreamWaiter()
        if outcome == .cancelled { throw CancellationError() }
    }

    /// Why nothing goes on here: the loss, that this program has closed the connection, or that a write was cut off.
    var endError: any Error {
        if let lossError { return lossError }
        if loop.isClosed { return EventLoopError.closed }
        if state.writing != .cutOff { return EventLoopError.transportClosed }
        return EventLoopError.incompleteWrite(bytes: cutOffBytes, peer: peerAddress)
    }
}
