/// Bytes in other forms, several pieces as one message, and frames.
extension StreamWriter {
    /// Sends the bytes of a chunk. As ``write(_:)-(RawSpan)`` of ``StreamChunk/bytes``, and faster: a span that a program
    /// holds across an `await` makes the compiler allocate memory for the chunk.
    @inlinable
    public func write(_ chunk: borrowing StreamChunk) async throws {
        let start = try begin(chunk)
        if start.isDone { return }
        try await goOn(chunk, start)
    }

    @usableFromInline
    func begin(_ chunk: borrowing StreamChunk) throws -> Start {
        try chunk.withUnsafeBytes { try begin($0) }
    }

    @usableFromInline
    func goOn(_ chunk: borrowing StreamChunk, _ start: Start) async throws {
        try await goOn(chunk.bytes, start)
    }

    /// As ``write(_:)-(RawSpan)``.
    public func write(_ bytes: Span<UInt8>) async throws {
        try await write(bytes.bytes)
    }

    /// As ``write(_:)-(RawSpan)``.
    public func write(_ bytes: ArraySlice<UInt8>) async throws {
        try await write(bytes.span.bytes)
    }

    /// Sends the UTF-8 bytes of `text`. As ``write(_:)-(RawSpan)``.
    public func write(_ text: Substring) async throws {
        try await write(text.utf8.span.bytes)
    }

    /// Sends all bytes of `pieces`, in order, as one write; returns as ``write(_:)-(RawSpan)`` does. asyncio: `writelines` and
    /// `drain`.
    ///
    /// Pieces of more than 8 KiB together are not joined: the kernel takes them from where they are. Throws as
    /// ``write(_:)-(RawSpan)``.
    @inlinable
    public func write(contentsOf pieces: some Sequence<[UInt8]>) async throws {
        // Compiled in the caller's module, where the type of `pieces` is known.
        try await write(pieces: Array(pieces))
    }

    @usableFromInline
    func write(pieces: [[UInt8]]) async throws {
        var unsent = WriteVector(pieces)
        if unsent.count <= WriteVector.joinedBytes { return try await write(unsent.joined.span.bytes) }
        try await loop.atHome("write(contentsOf:)") { record in
            try await transport.beginTurn(record)
            defer { transport.endTurn() }
            while unsent.count > 0 {
                let count = try transport.sendNow(unsent)
                if let count { unsent.advance(by: count) }
                transport.sent(count ?? 0, unsentBytes: unsent.count)
                // After a short send the next one has nothing to take, and waits.
                if count == nil { try await transport.waitUntilWritable(record) }
            }
        }
    }

    /// Sends `bytes` as a frame: with their number in front of them, as one write. ``StreamReader/readFrame(lengthPrefix:limitBytes:)``
    /// reads it.
    ///
    /// Throws `.invalidArgument` if the number does not fit into `lengthPrefix`, and as ``write(_:)-(RawSpan)``.
    /// ``bytesWritten`` includes the prefix.
    public func writeFrame(_ bytes: [UInt8], lengthPrefix: LengthPrefix = .uint32) async throws {
        try await write(pieces: [lengthPrefix.encoded(bytes.count), bytes])
    }

    /// As ``writeFrame(_:lengthPrefix:)-([UInt8],_)``; copies `bytes`.
    public func writeFrame(_ bytes: RawSpan, lengthPrefix: LengthPrefix = .uint32) async throws {
        let frame = try lengthPrefix.frame(bytes)
        try await write(frame.span.bytes)
    }
}
