import AsyncIOSystem

/// The pull style: a task takes and gives bytes itself, straight from and into its own memory.
extension StreamTransport {
    /// Takes what has come; 0 at the end; `nil` if there is nothing now.
    @inline(__always)
    func receiveNow(into buffer: UnsafeMutableRawBufferPointer) throws -> Int? {
        if state.reading == .ended || state.life != .open { return try receiveAfterEnd() }
        if buffer.isEmpty { return 0 }
        switch driver.receive(into: buffer) {
        case .bytes(let count):
            if count == 0 { pulledEnd() }
            return count
        case .wouldBlock:
            return nil
        case .failed(let error):
            failed(error, operation: "receive from")
            return try receiveAfterEnd()
        }
    }

    private func receiveAfterEnd() throws -> Int {
        if let lossError { throw lossError }
        if sawEnd { return 0 }
        throw loop.isClosed ? EventLoopError.closed : EventLoopError.transportClosed
    }

    /// Gives what the kernel takes now; `nil` if that is nothing.
    @inline(__always)
    func sendNow(_ bytes: UnsafeRawBufferPointer) throws -> Int? {
        guard state.acceptsWrites else {
            throw lossError ?? (loop.isClosed ? EventLoopError.closed : EventLoopError.transportClosed)
        }
        // What was written before goes first.
        guard queue.isEmpty, driver.grantsSend(of: bytes.count) else { return nil }
        switch driver.send(bytes) {
        case .bytes(let count): return count
        case .wouldBlock: return nil
        case .failed(let error):
            failed(error, operation: "send to")
            throw lossError ?? EventLoopError.transportClosed
        }
    }

    /// Suspends until a receive may go on, or the connection is lost. On the loop, at home.
    @inline(__always)
    func waitUntilReadable(_ record: TaskRecord?) async throws {
        if readWaiter != nil { throw EventLoopError.busy("read from this connection") }
        let token = loop.makeWaiter()
        readWaiter = token
        let outcome = await loop.suspend(token, record)
        if readWaiter == token { readWaiter = nil }
        if outcome == .cancelled { throw CancellationError() }
    }

    /// Suspends until a send may go on, or the connection is lost. On the loop, at home.
    func waitUntilWritable(_ record: TaskRecord?) async throws {
        if writeWaiter != nil { throw EventLoopError.busy("write to this connection") }
        let token = loop.makeWaiter()
        writeWaiter = token
        let outcome = await loop.suspend(token, record)
        if writeWaiter == token { writeWaiter = nil }
        if outcome == .cancelled { throw CancellationError() }
    }
}
