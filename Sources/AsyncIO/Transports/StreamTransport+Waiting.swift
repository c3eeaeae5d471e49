/// What a task waits for beside its bytes.
extension StreamTransport {
    /// Suspends until the kernel has all that was written. On the loop, at home, in the writers' turn.
    func waitUntilFlushed(_ record: TaskRecord?) async throws {
        while true {
            if state.isClosing { throw endError }
            if writeBufferSize == 0 { return }
            try await waitUntilWritable(record)
        }
    }

    /// Suspends until the socket is closed. Throws why the connection was lost, if it was. On the loop, at home.
    func waitClosed(_ record: TaskRecord?) async throws {
        if !driver.isSocketClosed {
            if loop.isClosed { throw EventLoopError.closed }
            let token = loop.makeWaiter()
            driver.closeWaiters.append(token)
            let outcome = await loop.suspend(token, record)
            if outcome != .ready { driver.closeWaiters.removeAll { $0 == token } }
            try loop.check(outcome)
        }
        if let lossError { throw lossError }
    }
}
