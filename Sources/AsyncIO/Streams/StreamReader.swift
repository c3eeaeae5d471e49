import AsyncIOSystem

/// The reading half of a connection, for tasks. asyncio: `StreamReader`.
///
/// Bytes go straight from the kernel into the caller's memory. Only what must look ahead, for a separator, keeps bytes
/// in between, never more than ``limitBytes`` and a separator, and what a ``readExactly(_:)`` or
/// ``readAll(limitBytes:)`` that did not come to its end gives back: while nobody reads, the peer is held back by TCP.
///
/// A cancelled read has taken no byte, and the stream stays usable. One task at a time: a second one gets `.busy`. When
/// the connection is lost, the waiting read throws the reason, and so does every later one, once it has given what was
/// there.
///
/// Not `Sendable`. Its tasks belong on the loop's thread; a task that is elsewhere hops there for each call.
public final class StreamReader {
    let transport: StreamTransport
    @exclusivity(unchecked) var binding = TaskBinding()
    @exclusivity(unchecked) var isBusy = false
    @exclusivity(unchecked) var chunkSizing = ChunkSizing()
    /// `nil` until a read has to look ahead: many connections never do.
    @exclusivity(unchecked) private var storedLookAhead: LookAhead?
    /// The longest line, in bytes, and the longest piece in front of a separator. asyncio: `limit`.
    public let limitBytes: Int
    /// How much memory is set aside for bytes that have not come yet: a peer that announces gigabytes gets no
    /// gigabytes.
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

    /// Whether received bytes wait in the look-ahead.
    @inline(__always)
    var hasLookAhead: Bool { storedLookAhead.map { !$0.isEmpty } ?? false }

    /// The loop that the connection belongs to.
    public var loop: EventLoop { transport.loop }

    /// Whether a read has come to the end of the stream and nothing is left to take. The loop's thread. asyncio:
    /// `at_eof`.
    ///
    /// False as long as nobody has read so far. A connection that was lost has no end.
    public var atEOF: Bool {
        loop.requireOnLoop("StreamReader.atEOF")
        return transport.state.reading == .atEOF && !hasLookAhead
    }

    // MARK: What there is

    /// Waits for bytes and moves as many into `buffer` as there are, from its beginning.
    ///
    /// - Returns: How many, at least one; `nil` at the end of the stream. An empty buffer gives 0.
    public func read(into buffer: inout [UInt8]) async throws -> Int? {
        try await read(hasRoom: !buffer.isEmpty) { try buffer.withUnsafeMutableBytes { try take(into: $0) } }
    }

    /// As ``read(into:)-([UInt8])``. The memory must stay as it is until this returns or throws.
    public func read(into buffer: UnsafeMutableRawBufferPointer) async throws -> Int? {
        try await read(hasRoom: !buffer.isEmpty) { try take(into: buffer) }
    }

    /// As ``read(into:)-([UInt8])``.
    public func read(into buffer: inout MutableRawSpan) async throws -> Int? {
        try await read(hasRoom: !buffer.isEmpty) { try buffer.withUnsafeMutableBytes { try take(into: $0) } }
    }

    /// As ``read(into:)-([UInt8])``; appends to what is in `buffer`. A full one gives 0.
    public func read(into buffer: inout OutputRawSpan) async throws -> Int? {
        try await read(hasRoom: !buffer.isFull) {
            try buffer.withUnsafeMutableBytes { bytes, count in
                let taken = try take(into: UnsafeMutableRawBufferPointer(rebasing: bytes[count...]))
                count += taken ?? 0
                return taken
            }
        }
    }

    /// Waits for bytes that `attempt` then moves by ``take(into:)``, which it calls once.
    @inline(__always)
    private func read(hasRoom: Bool, _ attempt: () throws -> Int?) async throws -> Int? {
        if transport.isOnLoop {
            if isBusy { throw EventLoopError.busy("read from this connection") }
            if !(hasRoom && isDrained), let count = try attempt() { return count == 0 && hasRoom ? nil : count }
            let (isHome, record) = transport.unretainedHomeRecord(&binding, #isolation)
            if isHome {
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

    /// Waits for bytes and returns what there is, at most `maximumBytes`, and at most 64 KiB at a time; empty at the
    /// end. asyncio: `read(n)`.
    ///
    /// A negative number is not "all" as in asyncio, but an error: see ``readAll(limitBytes:)``.
    public func read(upTo maximumBytes: Int) async throws -> [UInt8] {
        try checkCount(maximumBytes)
        let most = min(maximumBytes, Self.chunkBytes)
        if transport.isOnLoop {
            if let bytes = try takeNow(most) { return bytes }
            let (isHome, record) = transport.unretainedHomeRecord(&binding, #isolation)
            if isHome {
                try begin()
                defer { isBusy = false }
                while true {
                    try await transport.waitUntilReadable(record)
                    if let bytes = try receiveNow(most) { return bytes }
                }
            }
        }
        return try await loop.hop { try await read(upTo: most) }
    }

    // MARK: So many bytes

    /// Waits for exactly `count` bytes, be they more than ``limitBytes``. asyncio: `readexactly`.
    ///
    /// Throws an ``IncompleteReadError`` with what came if the stream ends before. What came before another error or a
    /// cancellation is kept for the next read.
    public func readExactly(_ count: Int) async throws -> [UInt8] {
        try checkCount(count)
        let (isHome, record) = home(#isolation)
        guard isHome else { return try await loop.hop { try await readExactly(count) } }
        try begin()
        defer { isBusy = false }
        let bytes = try await collect(upTo: count, record)
        if bytes.count < count { throw IncompleteReadError(partial: bytes, expectedBytes: count) }
        return bytes
    }

    /// Waits for the end of the stream and returns all that came before it. asyncio: `read(-1)`.
    ///
    /// Throws `.limitExceeded` if that are more than `limitBytes` bytes. What came before an error or a cancellation is
    /// kept for the next read.
    public func readAll(limitBytes: Int) async throws -> [UInt8] {
        try checkCount(limitBytes)
        let (isHome, record) = home(#isolation)
        guard isHome else { return try await loop.hop { try await readAll(limitBytes: limitBytes) } }
        try begin()
        defer { isBusy = false }
        let bytes = try await collect(upTo: Self.sum(limitBytes, 1), record)
        if bytes.count > limitBytes {
            lookAhead.prepend(bytes[...])
            throw EventLoopError(.limitExceeded, "the stream is longer than the limit of \(limitBytes) bytes")
        }
        return bytes
    }

    // MARK: Up to a separator

    /// Waits for `separator` and returns what came up to it, and it. asyncio: `readuntil`.
    ///
    /// Throws an ``IncompleteReadError`` with what came if the stream ends before; a ``LimitOverrunError`` if there are
    /// more than ``limitBytes`` bytes in front of the separator, which are still there to be read; `.invalidArgument`
    /// for an empty separator.
    public func readUntil(_ separator: [UInt8]) async throws -> [UInt8] {
        try await readUntil(Separators([separator]))
    }

    /// As for the separator's UTF-8 bytes.
    public func readUntil(_ separator: String) async throws -> [UInt8] {
        try await readUntil(Array(separator.utf8))
    }

    /// Waits for any of `separators`: for that which ends first, so that the least is returned. asyncio: `readuntil` of
    /// a tuple.
    ///
    /// With "\r" and "\r\n" it is always "\r": a "\n" that may follow is not waited for.
    public func readUntil(anyOf separators: [[UInt8]]) async throws -> [UInt8] {
        try await readUntil(Separators(separators))
    }

    private func readUntil(_ separators: Separators) async throws -> [UInt8] {
        let (isHome, record) = home(#isolation)
        guard isHome else { return try await loop.hop { try await readUntil(separators) } }
        try begin()
        defer { isBusy = false }
        let most = Self.sum(limitBytes, separators.longest)
        var searched = 0
        while true {
            if let match = lookAhead.firstMatch(of: separators, from: searched) {
                if match.lowerBound > limitBytes { throw overrun(match.lowerBound) }
                return lookAhead.take(match.upperBound)
            }
            // A separator may have begun at the end.
            searched = max(0, lookAhead.count + 1 - separators.longest)
            if searched > limitBytes { throw overrun(searched) }
            guard try await readAhead(mostBytes: most - lookAhead.count, record) else {
                throw IncompleteReadError(partial: lookAhead.take(lookAhead.count), expectedBytes: nil)
            }
        }
    }

    /// Waits for a line, as the standard library's `readLine` does; `nil` at the end. asyncio: `readline`.
    ///
    /// The last line needs no newline. Bytes that are no UTF-8 are repaired, each by U+FFFD. Throws `.limitExceeded`
    /// for a line longer than ``limitBytes``; it is dropped, as far as it was read, so that the next line, or the rest
    /// of this one, comes next.
    public func readLine(strippingNewline: Bool = true) async throws -> String? {
        let (isHome, record) = home(#isolation)
        guard isHome else { return try await loop.hop { try await readLine(strippingNewline: strippingNewline) } }
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
        LimitOverrunError(consumedBytes: consumedBytes, limitBytes: limitBytes)
    }

    // MARK: Receiving

    /// Appends what comes to the look-ahead. False at the end. A cancelled one appends nothing.
    func readAhead(mostBytes: Int, _ record: TaskRecord?) async throws -> Bool {
        while true {
            let received = try lookAhead.fill(mostBytes: mostBytes) { try transport.receiveNow(into: $0) }
            if let received { return received > 0 }
            try await transport.waitUntilReadable(record)
        }
    }

    /// So many bytes, or all there are to the end. What came before an error goes back to the look-ahead.
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

    /// As `collect(upTo:_:)`, of more than is set aside at once.
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

    /// By the loop's memory, so that the array is not larger than what came.
    private func receiveNow(_ most: Int) throws -> [UInt8]? {
        let memory = UnsafeMutableRawBufferPointer(rebasing: loop.core.pointee.receiveBuffer.bytes[..<most])
        return try transport.receiveNow(into: memory).map { [UInt8](memory[..<$0]) }
    }

    private func takeNow(_ most: Int) throws -> [UInt8]? {
        if isBusy { throw EventLoopError.busy("read from this connection") }
        if hasLookAhead { return lookAhead.take(min(most, lookAhead.count)) }
        return try receiveNow(most)
    }

    /// Whether an attempt to read is known to find nothing.
    @inline(__always)
    var isDrained: Bool { transport.hasNothing && !hasLookAhead }

    @inline(__always)
    func take(into buffer: UnsafeMutableRawBufferPointer) throws -> Int? {
        if hasLookAhead { return lookAhead.take(into: buffer) }
        return try transport.receiveNow(into: buffer)
    }

    // MARK: Whose turn it is

    func home(_ isolation: (any Actor)?) -> (isHome: Bool, record: TaskRecord?) {
        transport.isOnLoop ? loop.homeRecord(&binding, isolation) : (false, nil)
    }

    /// The look-ahead belongs to one task from its first look to its last.
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
    /// As that of its ``StreamTransport``.
    public var description: String { "<StreamReader \(transport.summary)>" }
}

extension StreamReader.Lines: CustomStringConvertible {
    /// Names the reader.
    public var description: String { "<lines of \(reader)>" }
}

extension StreamReader.Chunks: CustomStringConvertible {
    /// Names the reader.
    public var description: String { "<chunks of \(reader)>" }
}

extension StreamReader.Frames: CustomStringConvertible {
    /// Names the reader.
    public var description: String { "<frames of \(reader)>" }
}
