extension StreamReader {
    /// Waits for exactly `count` bytes, which may be more than ``limitBytes``. asyncio: `readexactly`.
    ///
    /// Throws an ``IncompleteReadError`` with the bytes that arrived if EOF comes first. After another error or a
    /// cancellation, the next read gets the bytes that arrived before.
    public func readExactly(_ count: Int) async throws -> [UInt8] {
        try checkCount(count)
        let bytes = try await readAsOne { record in try await collect(upTo: count, record) }
        if bytes.count < count { throw IncompleteReadError(partial: bytes, expectedBytes: count) }
        return bytes
    }

    /// Waits for EOF and returns all bytes before it. asyncio: `read(-1)`.
    ///
    /// Throws a ``LimitOverrunError`` if there are more than `limitBytes` bytes. After an error or a cancellation, the
    /// next read gets the bytes that arrived before.
    public func readAll(limitBytes: Int) async throws -> [UInt8] {
        try checkCount(limitBytes)
        return try await readAsOne { record in
            let bytes = try await collect(upTo: Self.sum(limitBytes, 1), record)
            if bytes.count <= limitBytes { return bytes }
            lookAhead.prepend(bytes[...])
            throw LimitOverrunError("the stream is longer than", limitBytes: limitBytes)
        }
    }

    /// Waits for a frame and returns it without its length prefix; returns `nil` at EOF between two frames.
    ///
    /// Throws an ``IncompleteReadError`` with the bytes that arrived if EOF comes within a frame or its length, and a
    /// ``LimitOverrunError`` for a frame longer than `limitBytes` (`nil`: than the reader's ``limitBytes``), which can
    /// still be read after its length. After another error or a cancellation, the next read gets the bytes that arrived
    /// before. asyncio: `readexactly` of the length, and then of the frame.
    public func readFrame(lengthPrefix: LengthPrefix = .uint32, limitBytes: Int? = nil) async throws -> [UInt8]? {
        let limit = limitBytes ?? self.limitBytes
        try checkCount(limit)
        return try await readAsOne { record in
            while true {
                if let length = try lookAhead.queue.frameLength(lengthPrefix, limitBytes: limit) {
                    return try await takeFrame(lengthPrefix, length, record)
                }
                switch try receiveAhead(upTo: Self.sum(limit, lengthPrefix.byteCount)) {
                case nil: try await transport.waitUntilReadable(record)
                case 0 where lookAhead.queue.isEmpty: return nil
                case 0: throw IncompleteReadError(partial: lookAhead.takeAll(), expectedBytes: lengthPrefix.byteCount)
                default: continue
                }
            }
        }
    }

    /// The frames that follow, as ``readFrame(lengthPrefix:limitBytes:)`` returns them, until EOF.
    ///
    /// ```swift
    /// for try await frame in reader.frames() { handle(frame) }
    /// ```
    public func frames(
        lengthPrefix: LengthPrefix = .uint32, limitBytes: Int? = nil
    ) -> LoopSequence<[UInt8], any Error> {
        LoopSequence(of: self) {
            let reader = unsafeDowncast($0, to: StreamReader.self)
            return try await reader.readFrame(lengthPrefix: lengthPrefix, limitBytes: limitBytes)
        }
    }

    /// Takes the frame after a length that has arrived, and waits for the bytes that have not.
    private func takeFrame(_ prefix: LengthPrefix, _ length: Int, _ record: TaskRecord?) async throws -> [UInt8] {
        let encoded = lookAhead.queue.take(prefix.byteCount)
        if lookAhead.queue.count >= length { return lookAhead.queue.take(length) }
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

    /// Returns `count` bytes, or fewer at EOF. After an error, the bytes that arrived go back to the look-ahead.
    func collect(upTo count: Int, _ record: TaskRecord?) async throws -> [UInt8] {
        if count > Self.chunkBytes { return try await collectPieces(upTo: count, record) }
        var bytes = [UInt8](repeating: 0, count: count)
        var filled = 0
        do {
            while filled < count {
                let received = try bytes.withUnsafeMutableBytes {
                    try take(into: UnsafeMutableRawBufferPointer(rebasing: $0[filled...]))
                }
                if received == 0 { break }
                if let received { filled += received } else { try await transport.waitUntilReadable(record) }
            }
        } catch {
            lookAhead.prepend(bytes[..<filled])
            throw error
        }
        if filled < bytes.count / 2 { return Array(bytes[..<filled]) }
        bytes.removeLast(bytes.count - filled)
        return bytes
    }

    /// Does what `collect(upTo:_:)` does, for more bytes than are allocated at once.
    private func collectPieces(upTo count: Int, _ record: TaskRecord?) async throws -> [UInt8] {
        let pieces = ReceivedPieces(firstBytes: Self.chunkBytes)
        do {
            while pieces.count < count {
                let received = try pieces.fill(mostBytes: count - pieces.count) { try take(into: $0) }
                if received == 0 { break }
                if received == nil { try await transport.waitUntilReadable(record) }
            }
        } catch {
            lookAhead.prepend(pieces.joined()[...])
            throw error
        }
        return pieces.joined()
    }
}

/// An error of a read that reached EOF before it was complete. asyncio: `IncompleteReadError`.
public struct IncompleteReadError: Error, Sendable, CustomStringConvertible {
    /// The bytes that arrived before EOF.
    public var partial: [UInt8]
    /// The number of bytes that were expected; `nil` if a separator was expected.
    public var expectedBytes: Int?

    public var description: String {
        guard let expectedBytes else { return "the stream ended after \(partial.count) bytes without a separator" }
        return "the stream ended after \(partial.count) of \(expectedBytes) expected bytes"
    }
}

/// Received bytes of unknown number, in pieces of memory, each as large as all earlier ones together, so that the
/// memory is at most twice the number of bytes, and nothing is zeroed, or moved before all bytes have arrived.
final class ReceivedPieces {
    /// The pieces; all of them except the last one are full.
    private var pieces: [UnsafeMutableRawBufferPointer] = []
    private var freeBytes = 0
    private let firstBytes: Int
    private(set) var count = 0

    init(firstBytes: Int) {
        self.firstBytes = firstBytes
    }

    deinit {
        for piece in pieces { piece.deallocate() }
    }

    /// Does what ``LookAhead/fill(mostBytes:_:)`` does.
    func fill(
        mostBytes: Int, _ receive: (UnsafeMutableRawBufferPointer) throws -> Int?
    ) rethrows -> Int? {
        if freeBytes == 0 {
            freeBytes = min(mostBytes, max(firstBytes, count))
            pieces.append(.allocate(byteCount: freeBytes, alignment: 64))
        }
        let piece = pieces[pieces.count - 1]
        let free = piece.suffix(freeBytes).prefix(mostBytes)
        let received = try receive(UnsafeMutableRawBufferPointer(rebasing: free))
        count += received ?? 0
        freeBytes -= received ?? 0
        return received
    }

    func joined() -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: count) { buffer, initializedCount in
            for piece in pieces {
                let length = min(piece.count, count - initializedCount)
                let rest = UnsafeMutableBufferPointer(rebasing: buffer[initializedCount...])
                UnsafeMutableRawBufferPointer(rest).copyMemory(from: UnsafeRawBufferPointer(rebasing: piece[..<length]))
                initializedCount += length
            }
        }
    }
}
