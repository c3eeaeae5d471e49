extension StreamReader {
    /// Waits for a frame and returns it without its length prefix; returns `nil` at EOF between two frames.
    ///
    /// Throws an ``IncompleteReadError`` with the bytes that arrived if EOF comes within a frame or its length, and a
    /// ``LimitOverrunError`` for a frame longer than `limitBytes` (`nil`: than the reader's ``limitBytes``), which can
    /// still be read after its length. After another error or a cancellation, the next read gets the bytes that arrived
    /// before. asyncio: `readexactly` of the length, and then of the frame.
    public func readFrame(lengthPrefix: LengthPrefix = .uint32, limitBytes: Int? = nil) async throws -> [UInt8]? {
        let (hasAffinity, record) = affinity(#isolation)
        let limit = limitBytes ?? self.limitBytes
        try checkCount(limit)
        guard hasAffinity else {
            return try await loop.hop { try await readFrame(lengthPrefix: lengthPrefix, limitBytes: limit) }
        }
        try begin()
        defer { isBusy = false }
        while true {
            if let length = try lookAhead.queue.frameLength(lengthPrefix, limitBytes: limit) {
                return try await takeFrame(lengthPrefix, length, record)
            }
            let room = Self.sum(limit, lengthPrefix.byteCount) - lookAhead.count
            guard try await readAhead(mostBytes: room, record) else {
                if lookAhead.isEmpty { return nil }
                throw IncompleteReadError(
                    partial: lookAhead.take(lookAhead.count), expectedBytes: lengthPrefix.byteCount)
            }
        }
    }

    /// Takes the frame after a length that has arrived, and waits for the bytes that have not.
    private func takeFrame(_ prefix: LengthPrefix, _ length: Int, _ record: TaskRecord?) async throws -> [UInt8] {
        let encoded = lookAhead.take(prefix.byteCount)
        if lookAhead.count >= length { return lookAhead.take(length) }
        let bytes: [UInt8]
        do {
            bytes = try await collect(upTo: length, record)
        } catch {
            lookAhead.prepend(encoded[...])
            throw error
        }
        if bytes.count < length { throw IncompleteReadError(partial: bytes, expectedBytes: length) }
        return bytes
    }
}
