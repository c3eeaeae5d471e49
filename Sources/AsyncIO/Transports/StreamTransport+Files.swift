import AsyncIOSystem
public import SystemPackage

extension StreamTransport {
    /// Sends a regular file, or a part of it, and returns the number of bytes that the kernel has accepted. asyncio:
    /// `loop.sendfile`.
    ///
    /// The bytes follow everything that was written before, and no other bytes come between them: the writes of tasks
    /// wait, and ``write(_:)-(RawSpan)`` discards and reports what a protocol writes meanwhile. No protocol gets data
    /// meanwhile either, so that a request cannot arrive before the answer to the one before has been sent. ``close()``
    /// and ``writeEOF()`` take effect after the file.
    ///
    /// The kernel sends the bytes without copying them through this process, and the task waits while the peer reads
    /// slowly. Where the kernel cannot do so, and if the connection has a filter, such as TLS, pieces of 256 KiB are
    /// read and written. The disk is read on the loop's thread.
    ///
    /// The kernel may read the bytes from the file until the peer has received them, so what is written to this part of
    /// the file meanwhile, also shortly after the function has returned, may be sent instead: sendfile(2).
    ///
    /// The end of the file is where it was when the call began. If the file becomes shorter meanwhile, fewer bytes are
    /// sent. When the function returns or throws, the file's position is behind the last byte that was sent; on a
    /// completion loop, of bytes that were copied, up to 64 KiB may still be in flight. If it is cancelled or fails
    /// after some bytes, the connection can only be reset, as after an incomplete ``StreamWriter/write(_:)-(RawSpan)``.
    ///
    /// - Parameters:
    ///   - file: A descriptor that can be read, which stays the caller's. It must not be closed before the function has
    ///     returned.
    ///   - offset: Where to begin, in bytes. A position behind the end sends nothing.
    ///   - maxBytes: How many bytes to send at most; `nil` for all up to the end of the file.
    ///   - allowsCopying: Whether the bytes may be copied through this process. asyncio: `fallback`.
    ///
    /// Throws `.invalidArgument` for a negative `offset`, a `maxBytes` that is not positive, and a descriptor of
    /// anything but a regular file; `.sendfileNotAvailable` if the file can only be copied and `allowsCopying` is
    /// false, before anything is sent; an `IOError` if the file cannot be read; and what
    /// ``StreamWriter/write(_:)-(RawSpan)`` throws.
    /// - Thread: the loop's.
    @discardableResult
    public func sendFile(
        _ file: FileDescriptor, offset: Int64 = 0, maxBytes: Int? = nil, allowsCopying: Bool = true
    ) async throws -> Int {
        var transfer = try FileTransfer(file, offset: offset, maxBytes: maxBytes, allowsCopying: allowsCopying)
        defer { transfer.finish() }
        try await loop.withAffinity { record in
            try await beginWrite(record)
            defer { endWrite() }
            try await send(&transfer, record)
        }
        return transfer.sentBytes
    }

    /// The task is the current writer.
    private func send(_ transfer: inout FileTransfer, _ record: TaskRecord?) async throws {
        perform(state.beganFile(pausesReading: isPush))
        defer { perform(state.endedFile()) }
        try await waitUntilFlushed(record)
        guard state.acceptsWrites else { throw endError }
        sent(0, unsentBytes: transfer.unsentBytes)
        while transfer.unsentBytes > 0 {
            if !transfer.isCopying, !withDriver({ $0.sendsFiles }) { try transfer.cannotSendDirectly() }
            if transfer.isCopying {
                try await copyPiece(of: &transfer, record)
            } else if let count = try sendPiece(of: &transfer) {
                transfer.sent(count)
                sent(count, unsentBytes: transfer.unsentBytes)
            } else if !transfer.isCopying {
                try await waitUntilWritable(record)
            }
        }
    }

    /// Returns how many bytes were sent; `nil` if none can be sent now, or only by copying.
    private func sendPiece(of transfer: inout FileTransfer) throws -> Int? {
        guard try maySend(transfer.nextByteCount) else { return nil }
        let result = withDriver {
            $0.sendFile(transfer.file, offset: transfer.offset, byteCount: transfer.nextByteCount)
        }
        if result.saysSendfileIsNotAvailable {
            try transfer.cannotSendDirectly()
            return nil
        }
        return try sent(result)
    }

    /// Reads a piece of the file and sends all of it.
    private func copyPiece(of transfer: inout FileTransfer, _ record: TaskRecord?) async throws {
        let memory = loop.chunkPool.take(.large)
        defer { loop.chunkPool.put(memory, .large) }
        let buffer = UnsafeMutableRawBufferPointer(start: memory, count: BufferPool.Size.large.byteCount)
        var rest = UnsafeRawBufferPointer(rebasing: buffer[..<(try transfer.read(into: buffer))])
        if rest.isEmpty {
            transfer.sent(0)
            sent(0, unsentBytes: 0)
        }
        while !rest.isEmpty {
            guard let count = try sendNow(rest) else {
                try await waitUntilWritable(record)
                continue
            }
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
            if count > 0 { transfer.sent(count) }
            sent(count, unsentBytes: transfer.unsentBytes)
        }
    }
}
