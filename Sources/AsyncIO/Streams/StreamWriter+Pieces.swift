extension StreamWriter {
    /// Sends the bytes of a chunk, like ``write(_:)-(RawSpan)`` with ``StreamChunk/bytes``, but faster: a span that a
    /// program uses across an `await` makes the compiler allocate memory for the chunk.
    @inlinable public func write(_ chunk: borrowing StreamChunk) async throws {
        let start = try begin(chunk)
        if start.isDone { return }
        try await goOn(chunk, start)
    }

    @usableFromInline func begin(_ chunk: borrowing StreamChunk) throws -> Start {
        if transport.lendsBuffers { return try beginFromBuffer(chunk) }
        return try chunk.withUnsafeBytes { try begin($0) }
    }

    /// For drivers that can send from the chunk's buffer later.
    @inline(never) private func beginFromBuffer(_ chunk: borrowing StreamChunk) throws -> Start {
        try chunk.withUnsafeBytes { try begin($0, in: chunk.buffer) }
    }

    @usableFromInline func goOn(_ chunk: borrowing StreamChunk, _ start: Start) async throws {
        try await goOn(chunk.bytes, start)
    }

    /// Sends all bytes of `pieces`, in order, as one write; everything else is as in ``write(_:)-(RawSpan)``. Pieces of
    /// more than 8 KiB together are not joined in memory. asyncio: `writelines` and `drain`.
    @inlinable public func write(contentsOf pieces: some Sequence<[UInt8]>) async throws {
        // Compiled in the caller's module, where the type of `pieces` is known.
        try await write(pieces: Array(pieces))
    }

    @usableFromInline func write(pieces: [[UInt8]]) async throws {
        var unsent = WriteVector(pieces)
        if unsent.count <= WriteVector.joinedBytes { return try await write(unsent.joined.span.bytes) }
        try await loop.withAffinity("write(contentsOf:)") { record in
            try await transport.beginWrite(record)
            defer { transport.endWrite() }
            while unsent.count > 0 {
                let count = try transport.sendNow(unsent)
                if let count { unsent.advance(by: count) }
                transport.sent(count ?? 0, unsentBytes: unsent.count)
                // After a short send, the next send would block, so the task waits then.
                if count == nil { try await transport.waitUntilWritable(record) }
            }
        }
    }

    /// Sends `bytes` as a frame with a length prefix, as one write; ``bytesWritten`` includes the prefix.
    ///
    /// Throws `.invalidArgument` if the length does not fit into `lengthPrefix`, and as ``write(_:)-(RawSpan)`` does.
    public func writeFrame(_ bytes: [UInt8], lengthPrefix: LengthPrefix = .uint32) async throws {
        try await write(pieces: [lengthPrefix.encoded(bytes.count), bytes])
    }

    /// Sends a copy of `bytes` as a frame; everything else is as in ``writeFrame(_:lengthPrefix:)-([UInt8],_)``.
    public func writeFrame(_ bytes: RawSpan, lengthPrefix: LengthPrefix = .uint32) async throws {
        try await write(lengthPrefix.frame(bytes))
    }
}
