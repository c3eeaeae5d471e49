import CAsyncIO

/// A queue of bytes that have been received but not parsed yet: appended at the back, consumed at the front.
///
/// ```swift
/// final class LineCounter: StreamProtocol {
///     var input = ByteQueue()
///
///     func connectionMade(_ transport: StreamTransport) {}
///
///     func dataReceived(_ data: RawSpan) throws {
///         try input.append(data)
///         while let line = try input.takeLine() { print(line.count) }
///     }
///
///     func connectionLost(_ error: (any Error)?) {}
/// }
/// ```
///
/// A copy shares its memory with the original until one of them changes. Appending and consuming take constant time per
/// byte on average, for pieces of any size. An empty queue retains at most 64 KiB of memory, a new one none.
public struct ByteQueue: CustomStringConvertible {
    static let smallestBytes = 512
    /// An empty queue releases memory that is larger.
    static let mostRetainedBytes = 64 * 1024

    /// The most bytes that may be in the queue. Appending more throws.
    public let limitBytes: Int
    private var memory: ByteMemory?
    private var start = 0
    private var end = 0
    /// The number of bytes at the front that contain no newline, as far as was searched.
    var searchedBytes = 0

    /// Creates an empty queue. One `dataReceived` brings up to 256 KiB: add that to the longest message for the limit,
    /// which is 1 MiB by default.
    public init(limitBytes: Int = 1 << 20) { self.limitBytes = limitBytes }

    /// The number of bytes in the queue.
    public var count: Int { end - start }

    public var isEmpty: Bool { start == end }

    /// For tests.
    var memoryBytes: Int { memory?.byteCount ?? 0 }

    // MARK: Looking

    /// The bytes in the queue, in order and without a copy. The queue cannot be changed as long as the span is in use.
    /// If the queue is a property of a class, use the span within the same expression, or call ``withBytes(_:)``.
    public var bytes: RawSpan {
        @_lifetime(borrow self)
        get {
            let span = RawSpan(_unsafeBytes: unsafeBytes)
            // SAFETY: this value holds the memory, and cannot change it while it is borrowed.
            return _overrideLifetime(span, borrowing: self)
        }
    }

    /// Calls `body` with the bytes in the queue. Like ``bytes``, for queues that are properties of classes.
    public func withBytes<Result, Failure: Error>(
        _ body: (RawSpan) throws(Failure) -> Result
    ) throws(Failure) -> Result { try body(bytes) }

    /// The byte at `offset` from the front. Traps if there is none.
    public subscript(offset: Int) -> UInt8 {
        precondition(offset >= 0 && offset < count, "the byte queue has no byte at this offset")
        return unsafeBytes[offset]
    }

    /// The bytes in the queue. Valid until the next change, as long as this value lives.
    var unsafeBytes: UnsafeRawBufferPointer {
        guard let memory else { return UnsafeRawBufferPointer(start: nil, count: 0) }
        return UnsafeRawBufferPointer(start: memory.base + start, count: end - start)
    }

    // MARK: Searching

    /// Returns the offset of the first `byte` at or after `offset`; `nil` if there is none. memchr(3).
    public func firstOffset(of byte: UInt8, from offset: Int = 0) -> Int? {
        withUnsafeBytes(of: byte) { find($0, in: checkedRange(from: offset)) }
    }

    /// Returns the offset of the first `pattern` at or after `offset`; `nil` if there is none. memmem(3). Takes time
    /// linear in the number of searched bytes, for any content. An empty pattern is found at `offset`.
    public func firstOffset(of pattern: [UInt8], from offset: Int = 0) -> Int? {
        if pattern.isEmpty { return checkedRange(from: offset).lowerBound }
        return pattern.withUnsafeBytes { find($0, in: checkedRange(from: offset)) }
    }

    private func checkedRange(from offset: Int) -> Range<Int> {
        precondition(offset >= 0 && offset <= count, "the byte queue cannot be searched from beyond its bytes")
        return offset..<count
    }

    func find(_ pattern: UnsafeRawBufferPointer, in range: Range<Int>) -> Int? {
        if range.count < pattern.count { return nil }
        // SAFETY: the range lies within the bytes of the queue, and the pattern is not empty.
        let found = aio_find_bytes(
            unsafeBytes.baseAddress! + range.lowerBound, range.count, pattern.baseAddress!, pattern.count)
        return found < 0 ? nil : range.lowerBound + found
    }

    // MARK: Appending

    /// Appends a copy of `bytes`. Throws a ``LimitOverrunError``, and appends nothing, if that exceeds ``limitBytes``.
    public mutating func append(_ bytes: RawSpan) throws(LimitOverrunError) {
        if bytes.byteCount > limitBytes - count {
            throw LimitOverrunError(
                "\(bytes.byteCount) bytes appended to \(count) in a byte queue exceed", limitBytes: limitBytes)
        }
        bytes.withUnsafeBytes { append($0) }
    }

    /// Appends a copy of `bytes`, like ``append(_:)-(RawSpan)``.
    public mutating func append(_ bytes: [UInt8]) throws(LimitOverrunError) { try append(bytes.span.bytes) }

    /// Appends the UTF-8 bytes of `text`, like ``append(_:)-(RawSpan)``.
    public mutating func append(_ text: String) throws(LimitOverrunError) { try append(text.utf8.span.bytes) }

    /// Appends a copy of `bytes`, even beyond the limit.
    mutating func append(_ bytes: UnsafeRawBufferPointer) {
        if bytes.isEmpty { return }
        makeRoom(bytes.count).copyMemory(from: bytes)
        end += bytes.count
    }

    /// Lends `receive` uninitialized memory for `byteCount` bytes, at least one, at the back of the queue. Returns what
    /// `receive` does: the number of bytes that it wrote there, or `nil` for none.
    @inline(__always)
    mutating func fill(_ byteCount: Int, _ receive: (UnsafeMutableRawBufferPointer) throws -> Int?) rethrows -> Int? {
        guard let received = try receive(makeRoom(byteCount)) else { return nil }
        end += received
        return received
    }

    mutating func prepend(_ bytes: UnsafeRawBufferPointer) {
        if bytes.isEmpty { return }
        searchedBytes = 0
        if !isKnownUniquelyReferenced(&memory) || start < bytes.count { move(toFrontGap: bytes.count, room: count) }
        start -= bytes.count
        (memory!.base + start).copyMemory(from: bytes.baseAddress!, byteCount: bytes.count)
    }

    // MARK: Consuming

    /// Removes the first `byteCount` bytes. Traps if there are fewer.
    public mutating func consume(_ byteCount: Int) {
        precondition(byteCount >= 0 && byteCount <= count, "the byte queue has fewer bytes than are consumed")
        start += byteCount
        searchedBytes = max(0, searchedBytes - byteCount)
        if start < end { return }
        (start, end, searchedBytes) = (0, 0, 0)
        if memoryBytes > Self.mostRetainedBytes { memory = nil }
    }

    /// Removes the first `byteCount` bytes and returns them. Traps if there are fewer.
    public mutating func take(_ byteCount: Int) -> [UInt8] {
        precondition(byteCount >= 0 && byteCount <= count, "the byte queue has fewer bytes than are taken")
        let bytes = [UInt8](UnsafeRawBufferPointer(rebasing: unsafeBytes[..<byteCount]))
        consume(byteCount)
        return bytes
    }

    mutating func take(into buffer: UnsafeMutableRawBufferPointer) -> Int {
        let byteCount = min(buffer.count, count)
        if byteCount == 0 { return 0 }
        buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: unsafeBytes[..<byteCount]))
        consume(byteCount)
        return byteCount
    }

    /// Removes all bytes, and releases the memory.
    public mutating func removeAll() { self = ByteQueue(limitBytes: limitBytes) }

    // MARK: Memory

    /// Free memory behind the bytes, with room for `byteCount` more.
    private mutating func makeRoom(_ byteCount: Int) -> UnsafeMutableRawBufferPointer {
        let isUnique = isKnownUniquelyReferenced(&memory)
        if !isUnique || memoryBytes - end < byteCount {
            if isUnique, start >= count, memoryBytes - count >= byteCount {
                // At least as many bytes as this moves have been consumed before.
                memory!.base.copyMemory(from: memory!.base + start, byteCount: count)
                (start, end) = (0, count)
            } else {
                // At least as many bytes as this moves can be appended before the next move.
                move(toFrontGap: 0, room: max(byteCount, count))
            }
        }
        return UnsafeMutableRawBufferPointer(start: memory!.base + end, count: byteCount)
    }

    private mutating func move(toFrontGap gap: Int, room: Int) {
        let bytes = unsafeBytes
        let larger = ByteMemory.allocate(max(Self.smallestBytes, gap + bytes.count + room).roundedUpToPowerOfTwo)
        if let first = bytes.baseAddress { (larger.base + gap).copyMemory(from: first, byteCount: bytes.count) }
        memory = larger
        (start, end) = (gap, gap + bytes.count)
    }

    /// Such as `<ByteQueue 12 bytes, limit 1048576>`.
    public var description: String { "<ByteQueue \(count) bytes, limit \(limitBytes)>" }
}

// SAFETY: memory is written only while a single value owns it; see `makeRoom`.
extension ByteQueue: @unchecked Sendable {}

/// Memory for bytes, uninitialized, in one allocation.
private final class ByteMemory: ManagedBuffer<Int, UInt8> {
    static func allocate(_ byteCount: Int) -> ByteMemory {
        // SAFETY: `create` returns an instance of the class that it is called on.
        unsafeDowncast(create(minimumCapacity: byteCount) { _ in byteCount }, to: ByteMemory.self)
    }

    /// Stored, because `capacity` asks the allocator each time.
    var byteCount: Int { header }

    var base: UnsafeMutableRawPointer { withUnsafeMutablePointerToElements { UnsafeMutableRawPointer($0) } }
}

extension Int {
    /// The smallest power of two that is not less than this positive number.
    var roundedUpToPowerOfTwo: Int { 1 << (bitWidth - (self - 1).leadingZeroBitCount) }
}
