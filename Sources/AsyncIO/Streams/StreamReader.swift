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
public final class StreamReader: CustomStringConvertible {
    let transport: StreamTransport
    @exclusivity(unchecked) private var binding = TaskBinding()
    @exclusivity(unchecked) private var isBusy = false
    @exclusivity(unchecked) var chunkSizing = ChunkSizing()
    /// `nil` until a read has to look ahead, because many connections never do.
    @exclusivity(unchecked) private var storedLookAhead: LookAhead?
    /// The length in bytes of the longest line, and of the longest piece in front of a separator. asyncio: `limit`.
    public let limitBytes: Int
    /// The most memory for bytes that have not arrived yet, for the case that a peer announces gigabytes.
    static let chunkBytes = 64 * 1024

    init(_ transport: StreamTransport, limitBytes: Int) {
        self.transport = transport
        self.limitBytes = limitBytes
        transport.retainStreams()
    }

    deinit { transport.releaseStreams() }

    var lookAhead: LookAhead {
        if let storedLookAhead { return storedLookAhead }
        let lookAhead = LookAhead()
        storedLookAhead = lookAhead
        return lookAhead
    }

    @inline(__always) var hasLookAhead: Bool { storedLookAhead.map { !$0.queue.isEmpty } ?? false }

    /// The loop that the connection belongs to.
    public var loop: EventLoop { transport.loop }

    /// Whether a read has reached EOF and no bytes are left; false after a loss. asyncio: `at_eof`.
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
    private func read(
        hasRoom: Bool, _ function: StaticString = #function, _ attempt: () throws -> Int?
    ) async throws -> Int? {
        let count = try await read(function, waitsFirst: hasRoom && isDrained, attempt)
        return count == 0 && hasRoom ? nil : count
    }

    /// Waits for bytes and returns those that have arrived, at most `maxBytes` and at most 64 KiB; returns an empty
    /// array at EOF. asyncio: `read(n)`, but a negative number is an error; see ``readAll(limitBytes:)``.
    public func read(maxBytes: Int) async throws -> [UInt8] {
        try checkCount(maxBytes)
        let most = min(maxBytes, Self.chunkBytes)
        return try await read { () -> [UInt8]? in
            if hasLookAhead { return lookAhead.queue.take(min(most, lookAhead.queue.count)) }
            // Into the loop's memory, so that the array is not larger than the received bytes.
            let memory = UnsafeMutableRawBufferPointer(rebasing: loop.core.pointee.receiveBuffer[..<most])
            return try transport.receiveNow(into: memory).map { [UInt8](memory[..<$0]) }
        }
    }

    /// The bytes until EOF, in pieces of at least one byte and at most 64 KiB, as ``read(maxBytes:)`` returns them.
    public var chunks: LoopSequence<[UInt8], any Error> {
        LoopSequence(of: self) {
            let bytes = try await unsafeDowncast($0, to: StreamReader.self).read(maxBytes: .max)
            return bytes.isEmpty ? nil : bytes
        }
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
        var searched = 0
        return try await read { try takeUntil(separators, &searched) }
    }

    @inline(never)
    private func takeUntil(_ separators: Separators, _ searched: inout Int) throws -> [UInt8]? {
        while true {
            if let match = lookAhead.firstMatch(of: separators, from: searched) {
                try checkSeparator(at: match.lowerBound)
                return lookAhead.queue.take(match.upperBound)
            }
            // A separator may have begun in the last bytes.
            searched = max(0, lookAhead.queue.count + 1 - separators.longest)
            try checkSeparator(at: searched)
            guard let received = try receiveAhead(upTo: Self.sum(limitBytes, separators.longest)) else { return nil }
            if received == 0 { throw IncompleteReadError(partial: lookAhead.takeAll(), expectedBytes: nil) }
        }
    }

    private func checkSeparator(at offset: Int) throws(LimitOverrunError) {
        if offset <= limitBytes { return }
        throw LimitOverrunError("no separator within", limitBytes: limitBytes, consumedBytes: offset)
    }

    // MARK: Lines

    /// Waits for a line, like the standard library's `readLine`; returns `nil` at EOF. asyncio: `readline`.
    ///
    /// The last line needs no newline. Bytes that are not UTF-8 are repaired, each with U+FFFD. Throws a
    /// ``LimitOverrunError`` for a line longer than ``limitBytes``, and discards the part of the line that was read, so
    /// the next call returns the rest of the line or the next line.
    public func readLine(strippingNewline: Bool = true) async throws -> String? {
        try await read { try takeLine(strippingNewline) }
    }

    /// The lines until EOF, as ``readLine(strippingNewline:)`` returns them without newlines. asyncio: `async for`.
    ///
    /// ```swift
    /// for try await line in reader.lines { print(line) }
    /// ```
    ///
    /// Bytes that are not UTF-8 are repaired; for the bytes themselves, see ``readUntil(_:)-([UInt8])``.
    public var lines: LoopSequence<String, any Error> {
        LoopSequence(of: self) {
            let reader = unsafeDowncast($0, to: StreamReader.self)
            return try await reader.read("lines") { try reader.takeLine(true) }
        }
    }

    @inline(__always) private func takeLine(_ strippingNewline: Bool) throws -> String?? {
        while true {
            let line = try lookAhead.queue.takeLine(strippingNewline: strippingNewline, limitBytes: limitBytes)
            if let line { return line }
            guard let received = try receiveAhead(upTo: Self.sum(limitBytes, 1)) else { return nil }
            if received == 0 { return .some(lookAhead.takeLastLine()) }
        }
    }

    // MARK: Receiving

    /// Calls `attempt` until it returns a result, and waits for bytes in between, as the only read of the connection.
    /// If the first attempt is known to find nothing, it `waitsFirst`.
    ///
    /// It is inlined, so that a task that waits suspends in the frame of the read itself.
    @inline(__always)
    func read<Result>(
        _ function: StaticString = #function, waitsFirst: @autoclosure () -> Bool = false,
        _ attempt: () throws -> Result?
    ) async throws -> Result {
        if transport.isOnLoop {
            if isBusy { throw EventLoopError.busy("read from this connection") }
            if !waitsFirst(), let result = try attempt() { return result }
            let (hasAffinity, record) = transport.unretainedAffinityRecord(&binding, #isolation)
            if hasAffinity {
                isBusy = true
                defer { isBusy = false }
                while true {
                    try await transport.waitUntilReadable(record)
                    if let result = try attempt() { return result }
                }
            }
        }
        return try await readAfterHop(function, attempt)
    }

    /// It is not inlined, because its variables would be part of every waiting task's memory.
    @inline(never)
    private func readAfterHop<Result>(
        _ function: StaticString, _ attempt: () throws -> Result?
    ) async throws -> Result {
        try await loop.hop(function) { try await read(function, attempt) }
    }

    /// Calls `body`, which reads several times, as the only read of the connection.
    @inline(__always)
    func readAsOne<Result>(
        _ function: StaticString = #function, _ body: (TaskRecord?) async throws -> Result
    ) async throws -> Result {
        let (hasAffinity, record) = transport.isOnLoop ? loop.affinityRecord(&binding, #isolation) : (false, nil)
        guard hasAffinity else { return try await loop.hop(function) { try await readAsOne(function, body) } }
        if isBusy { throw EventLoopError.busy("read from this connection") }
        isBusy = true
        defer { isBusy = false }
        return try await body(record)
    }

    /// Appends received bytes to the look-ahead, until it has `mostBytes`. Returns 0 at EOF, and `nil` if nothing has
    /// arrived.
    func receiveAhead(upTo mostBytes: Int) throws -> Int? {
        try lookAhead.fill(mostBytes: mostBytes - lookAhead.queue.count) { try transport.receiveNow(into: $0) }
    }

    @inline(__always) var isDrained: Bool { transport.hasNothing && !hasLookAhead }

    @inline(__always) func take(into buffer: UnsafeMutableRawBufferPointer) throws -> Int? {
        if hasLookAhead { return lookAhead.queue.take(into: buffer) }
        return try transport.receiveNow(into: buffer)
    }

    func checkCount(_ count: Int) throws {
        if count < 0 { throw EventLoopError(.invalidArgument, "cannot read \(count) bytes") }
    }

    static func sum(_ count: Int, _ more: Int) -> Int {
        let (sum, overflow) = count.addingReportingOverflow(more)
        return overflow ? .max : sum
    }

    /// The description of the reader's ``StreamTransport``.
    public var description: String { "<StreamReader \(transport.summary)>" }
}

@available(*, unavailable, message: "a reader belongs to one task; read in the task that has it")
extension StreamReader: Sendable {}
