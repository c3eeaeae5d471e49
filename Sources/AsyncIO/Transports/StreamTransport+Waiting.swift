/// What a task waits for beside its bytes.
extension StreamTransport {
    /// Suspends until the kernel has all that was written. On the loop, at home, in the writers' turn.
    func waitUntilFlushed(_ record: TaskRecord?) async throws {
        while true {
            if state.isClosing { throw endError }
            if writeBufferBytes == 0 { return }
            try await waitUntilWritable(record)
        }
    }

    /// Suspends until the socket is closed. Throws why the connection was lost, if it was. On the loop, at home.
    func waitClosed(_ record: TaskRecord?) async throws {
        try await driver.waitUntilClosed(on: loop, record)
        if let lossError { throw lossError }
    }
}
