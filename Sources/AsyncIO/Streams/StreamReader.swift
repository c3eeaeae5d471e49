import AsyncIOSystem

/// The reading half of a connection, for tasks. asyncio: `StreamReader`.
///
/// Bytes go from the kernel directly into the caller's memory. A reader buffers bytes only if it has to look ahead for
/// a separator, and then never more than ``limitBytes`` and a separator, or if a ``readExactly(_:)`` or
/// ``readAll(limitBytes:)`` fails before it is complete. While no task reads, TCP holds back the peer.
///
/// A cancelled read has taken no byte, and the stream remains usable. Only one task may read at a time; a second one
/// gets `.busy`. When the connection is lost, the waiting read throws the reason, and so does every later read, after
/// the buffered bytes have been read.
///
/// A reader is not `Sendable`. Its tasks should run on the loop.
///
/// - Thread: any, unless a member says otherwise; off the loop, a read hops there.
public final class StreamReader {
    let transport: StreamTransport
    @exclusivity(unchecked) var binding = TaskBinding()
    @exclusivity(unchecked) var isBusy = false
    @exclusivity(unchecked) var chunkSizing = ChunkSizing()
    /// `nil` until a read has to look ahead, because many connections never do.
    @exclusivity(unchecked) private var storedLookAhead: LookAhead?
    /// The length in bytes of the longest line, and of the longest piece in front of a separator. asyncio: `limit`.
    public let limitBytes: Int
    /// The most memory that is allocated for bytes that have not arrived yet, so that a peer that announces gigabytes
    /// does not cause their allocation.
    private static let chunkBytes = 64 * 1024

    init(_ transport: StreamTransport, limitBytes: Int) {
        self.transport = transport
        self.limitBytes = limitBytes
        transport.retainStreams()
    }

    deinit {
        transport.releaseStreams()
    }

    var lookAhead: LookAhead {
        if let storedLookAhead { return storedLookAhead }
        let lookAhead = LookAhead()
        storedLookAhead = lookAhead
        return lookAhead
    }

    @inline(__always)
    var hasLookAhead: Bool { storedLookAhead.map { !$0.isEmpty } ?? false }

    /// The loop that the connection belongs to.
    public var loop: EventLoop { transport.loop }

    /// Whether a read has reached EOF and no bytes are left. A connection that was lost does not reach EOF. asyncio:
    /// `at_eof`.
    ///
    /// - Thread: the loop's.
    public var isAtEOF: Bool {
        loop.requireOnLoop("StreamReader.isAtEOF")
        return transport.state.reading == .atEOF && !hasLookAhead
    }

    // MARK: Available bytes

    /// Waits for bytes and moves as many as have arrived, at least one, to the beginning of `buffer`. Returns their
    /// number; `nil` at EOF, and 0 for an empty buffer.
    public func read(into buffer: inout [UInt8]) async throws -> Int? {
        try await read(hasRoom: !buffer.isEmpty) { try buffer.withUnsafeMutableBytes { try take(into: $0) } }
    }

    /// Reads as ``read(into:)-([UInt8])`` does, into memory that must stay valid until the function returns or throws.
    public func read(into buffer: UnsafeMutableRawBufferPointer) async throws -> Int? {
        try await read(hasRoom: !buffer.isEmpty) { try take(into: buffer) }
    }

    /// Reads into a span as ``read(into:)-([UInt8])`` does.
    public func read(into buffer: inout MutableRawSpan) async throws -> Int? {
        try await read(hasRoom: !buffer.isEmpty) { try buffer.withUnsafeMutableBytes { try take(into: $0) } }
    }

    /// Reads as ``read(into:)-([UInt8])`` does, and appends to the contents of `buffer`. For a full span, returns 0.
    public func read(into buffer: inout OutputRawSpan) async throws -> Int? {
        try await read(hasRoom: !buffer.isFull) {
            try buffer.withUnsafeMutableBytes { bytes, count in
                let taken = try take(into: UnsafeMutableRawBufferPointer(rebasing: bytes[count...]))
                count += taken ?? 0
                return taken
            }
        }
    }

    @inline(__always)
    private func read(hasRoom: Bool, _ attempt: () throws -> Int?) async throws -> Int? {
        if transport.isOnLoop {
            if isBusy { throw EventLoopError.busy("read from this connection") }
            if !(hasRoom && isDrained), let count = try attempt() { return count == 0 && hasRoom ? nil : count }
            let (hasAffinity, record) = transport.unretainedAffinityRecord(&binding, #isolation)
            if hasAffinity {
                isBusy = true
                defer { isBusy = false }
                while true {
                    try await transport.waitUntilReadable(record)
                    if let count = try attempt() { return count == 0 ? nil : count }
                }
            }
        }
        return try await loop.hop { try await read(hasRoom: hasRoom, attempt) }
    }

    /// Waits for bytes and returns those that have arrived, at most `maxBytes` and at most 64 KiB; returns an empty
    /// array at EOF. asyncio: `read(n)`, but a negative number is an error; see ``readAll(limitBytes:)``.
    public func read(maxBytes: Int) async throws -> [UInt8] {
        try checkCount(maxBytes)
        let most = min(maxBytes, Self.chunkBytes)
        if transport.isOnLoop {
            if let bytes = try takeNow(most) { return bytes }
            let (hasAffinity, record) = transport.unretainedAffinityRecord(&binding, #isolation)
            if hasAffinity {
                try begin()
                defer { isBusy = false }
                while true {
                    try await transport.waitUntilReadable(record)
                    if let bytes = try receiveNow(most) { return bytes }
                }
            }
        }
        return try await loop.hop { try await read(maxBytes: most) }
    }

    // MARK: A number of bytes

    /// Waits for exactly `count` bytes, which may be more than ``limitBytes``. asyncio: `readexactly`.
    ///
    /// Throws an ``IncompleteReadError`` with the bytes that arrived if EOF comes first. After another error or a
    /// cancellation, the next read gets the bytes that arrived before.
    public func readExactly(_ count: Int) async throws -> [UInt8] {
        try checkCount(count)
        let (hasAffinity, record) = affinity(#isolation)
        guard hasAffinity else { return try await loop.hop { try await readExactly(count) } }
        try begin()
        defer { isBusy = false }
        let bytes = try await collect(upTo: count, record)
        if bytes.count < count { throw IncompleteReadError(partial: bytes, expectedBytes: count) }
        return bytes
    }

    /// Waits for EOF and returns all bytes before it. asyncio: `read(-1)`.
    ///
    /// Throws a ``LimitOverrunError`` if there are more than `limitBytes` bytes. After an error or a cancellation, the
    /// next read gets the bytes that arrived before.
    public func readAll(limitBytes: Int) async throws -> [UInt8] {
        try checkCount(limitBytes)
        let (hasAffinity, record) = affinity(#isolation)
        guard hasAffinity else { return try await loop.hop { try await readAll(limitBytes: limitBytes) } }
        try begin()
        defer { isBusy = false }
        let bytes = try await collect(upTo: Self.sum(limitBytes, 1), record)
        if bytes.count > limitBytes {
            lookAhead.prepend(bytes[...])
            throw LimitOverrunError("the stream is longer than", limitBytes: limitBytes)
        }
        return bytes
    }

    // MARK: Separators

    /// Waits for `separator` and returns the bytes up to and including it. asyncio: `readuntil`.
    ///
    /// Throws an ``IncompleteReadError`` with the bytes that arrived if EOF comes first; a ``LimitOverrunError`` if
    /// there are more than ``limitBytes`` bytes in front of the separator, which can still be read; and
    /// `.invalidArgument` for an empty separator.
    public func readUntil(_ separator: [UInt8]) async throws -> [UInt8] {
        try await readUntil(Separators([separator]))
    }

    /// Waits for the UTF-8 bytes of `separator`, and returns the bytes up to and including them.
    public func readUntil(_ separator: String) async throws -> [UInt8] {
        try await readUntil(Array(separator.utf8))
    }

    /// Waits for the separator that ends first, and returns the bytes up to and including it. asyncio: `readuntil` of a
    /// tuple. With "\r" and "\r\n" it always returns at "\r", because it does not wait for a "\n" that may follow.
    public func readUntil(anyOf separators: [[UInt8]]) async throws -> [UInt8] {
        try await readUntil(Separators(separators))
    }

    private func readUntil(_ separators: Separators) async throws -> [UInt8] {
        let (hasAffinity, record) = affinity(#isolation)
        guard hasAffinity else { return try await loop.hop { try await readUntil(separators) } }
        try begin()
        defer { isBusy = false }
        let most = Self.sum(limitBytes, separators.longest)
        var searched = 0
        while true {
            if let match = lookAhead.firstMatch(of: separators, from: searched) {
                if match.lowerBound > limitBytes { throw overrun(match.lowerBound) }
                return lookAhead.take(match.upperBound)
            }
            // A separator may have begun in the last bytes.
            searched = max(0, lookAhead.count + 1 - separators.longest)
            if searched > limitBytes { throw overrun(searched) }
            guard try await readAhead(mostBytes: most - lookAhead.count, record) else {
                throw IncompleteReadError(partial: lookAhead.take(lookAhead.count), expectedBytes: nil)
            }
        }
    }

    /// Waits for a line, like the standard library's `readLine`; returns `nil` at EOF. asyncio: `readline`.
    ///
    /// The last line needs no newline. Bytes that are not UTF-8 are repaired, each with U+FFFD. Throws a
    /// ``LimitOverrunError`` for a line longer than ``limitBytes``, and discards the part of the line that was read, so
    /// the next call returns the rest of the line or the next line.
    public func readLine(strippingNewline: Bool = true) async throws -> String? {
        try await nextLine(strippingNewline: strippingNewline)
    }

    /// Inlined, because each async function costs a frame.
    @inline(__always)
    func nextLine(strippingNewline: Bool) async throws -> String? {
        let (hasAffinity, record) = affinity(#isolation)
        guard hasAffinity else { return try await loop.hop { try await readLine(strippingNewline: strippingNewline) } }
        try begin()
        defer { isBusy = false }
        while true {
            let line = try lookAhead.takeLine(strippingNewline: strippingNewline, limitBytes: limitBytes)
            if let line { return line }
            guard try await readAhead(mostBytes: Self.sum(limitBytes, 1) - lookAhead.count, record) else {
                return lookAhead.takeLastLine()
            }
        }
    }

    private func overrun(_ consumedBytes: Int) -> LimitOverrunError {
        LimitOverrunError("no separator within", limitBytes: limitBytes, consumedBytes: consumedBytes)
    }

    // MARK: Receiving

    /// Appends received bytes to the look-ahead. Returns false at EOF. A cancelled call appends nothing.
    func readAhead(mostBytes: Int, _ record: TaskRecord?) async throws -> Bool {
        while true {
            let received = try lookAhead.fill(mostBytes: mostBytes) { try transport.receiveNow(into: $0) }
            if let received { return received > 0 }
            try await transport.waitUntilReadable(record)
        }
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

    /// Receives into the loop's memory, so that the array is not larger than the received bytes.
    private func receiveNow(_ most: Int) throws -> [UInt8]? {
        let memory = UnsafeMutableRawBufferPointer(rebasing: loop.core.pointee.receiveBuffer[..<most])
        return try transport.receiveNow(into: memory).map { [UInt8](memory[..<$0]) }
    }

    private func takeNow(_ most: Int) throws -> [UInt8]? {
        if isBusy { throw EventLoopError.busy("read from this connection") }
        if hasLookAhead { return lookAhead.take(min(most, lookAhead.count)) }
        return try receiveNow(most)
    }

    @inline(__always)
    var isDrained: Bool { transport.hasNothing && !hasLookAhead }

    @inline(__always)
    func take(into buffer: UnsafeMutableRawBufferPointer) throws -> Int? {
        if hasLookAhead { return lookAhead.take(into: buffer) }
        return try transport.receiveNow(into: buffer)
    }

    // MARK: Access

    func affinity(_ isolation: (any Actor)?) -> (hasAffinity: Bool, record: TaskRecord?) {
        transport.isOnLoop ? loop.affinityRecord(&binding, isolation) : (false, nil)
    }

    /// Reserves the look-ahead for one task from its first access to its last.
    func begin() throws {
        if isBusy { throw EventLoopError.busy("read from this connection") }
        isBusy = true
    }

    func checkCount(_ count: Int) throws {
        if count < 0 { throw EventLoopError(.invalidArgument, "cannot read \(count) bytes") }
    }

    static func sum(_ count: Int, _ more: Int) -> Int {
        let (sum, overflow) = count.addingReportingOverflow(more)
        return overflow ? .max : sum
    }
}

@available(*, unavailable, message: "a reader belongs to one task; read in the task that has it")
extension StreamReader: Sendable {}

extension StreamReader: CustomStringConvertible {
    /// The description of the reader's ``StreamTransport``.
    public var description: String { "<StreamReader \(transport.summary)>" }
}
