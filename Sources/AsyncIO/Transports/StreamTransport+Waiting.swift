/// What a task waits for besides bytes.
extension StreamTransport {
    /// Suspends until the kernel has accepted all bytes that were written. The task is on its loop and is the current
    /// writer.
    func waitUntilFlushed(_ record: TaskRecord?) async throws {
        while true {
            if state.isClosing { throw endError }
            if writeBufferBytes == 0 { return }
            try await waitUntilWritable(record)
        }
    }

    /// Suspends until the socket is closed. Throws the reason if the connection was lost. The task is on its loop.
    func waitClosed(_ record: TaskRecord?) async throws {
        try await driver.waitUntilClosed(on: loop, record)
        if let lossError { throw lossError }
    }
}
