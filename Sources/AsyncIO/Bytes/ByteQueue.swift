/// A queue of bytes that have been received but not parsed yet: appended at the back, consumed at the front.
///
/// Protocols and parsers use it because they receive bytes in pieces of any size and need whole messages:
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
/// The queue is a value: a copy shares its memory with the original until one of them changes. Appending and consuming
/// take constant time per byte on average, for pieces of any size. An empty queue retains at most 64 KiB of memory, a
/// new one none.
public struct ByteQueue {
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

    /// Creates an empty queue.
    ///
    /// - Parameter limitBytes: The most bytes that may be in the queue, 1 MiB by default. One `dataReceived` brings up
    ///   to 256 KiB: add that to the longest message.
    public init(limitBytes: Int = 1 << 20) {
        self.limitBytes = limitBytes
    }

    /// The number of bytes in the queue.
    public var count: Int { end - start }

    public var isEmpty: Bool { start == end }

    /// The size of the memory that the queue owns, for tests.
    var memoryBytes: Int { memory?.byteCount ?? 0 }

    // MARK: Looking

    /// The bytes in the queue, in order and without a copy. They stay in the queue.
    ///
    /// The queue cannot be changed as long as the span is in use. If the queue is a property of a class, use the span
    /// within the same expression, or call ``withBytes(_:)``.
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
    ) throws(Failure) -> Result {
        try body(bytes)
    }

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

    // MARK: Appending

    /// Appends a copy of `bytes`.
    ///
    /// Throws a ``LimitOverrunError``, and appends nothing, if the queue would hold more than ``limitBytes``.
    public mutating func append(_ bytes: RawSpan) throws(LimitOverrunError) {
        if bytes.byteCount > limitBytes - count { throw overrun(bytes.byteCount) }
        bytes.withUnsafeBytes { append($0) }
    }

    /// Appends a copy of `bytes`, like ``append(_:)-(RawSpan)``.
    public mutating func append(_ bytes: [UInt8]) throws(LimitOverrunError) {
        try append(bytes.span.bytes)
    }

    /// Appends the UTF-8 bytes of `text`, like ``append(_:)-(RawSpan)``.
    public mutating func append(_ text: String) throws(LimitOverrunError) {
        try append(text.utf8.span.bytes)
    }

    private func overrun(_ additionalBytes: Int) -> LimitOverrunError {
        LimitOverrunError(
            "\(additionalBytes) bytes appended to \(count) in a byte queue exceed", limitBytes: limitBytes)
    }

    /// Appends a copy of `bytes`, even beyond the limit.
    mutating func append(_ bytes: UnsafeRawBufferPointer) {
        if bytes.isEmpty { return }
        let room = makeRoom(bytes.count)
        room.copyMemory(from: bytes)
        end += bytes.count
    }

    /// Lends `receive` uninitialized memory for `byteCount` bytes, at least one, at the back of the queue.
    ///
    /// - Returns: The result of `receive`: the number of bytes that it wrote there, or `nil` for none.
    @inline(__always)
    mutating func fill(
        _ byteCount: Int, _ receive: (UnsafeMutableRawBufferPointer) throws -> Int?
    ) rethrows -> Int? {
        guard let received = try receive(makeRoom(byteCount)) else { return nil }
        end += received
        return received
    }

    /// Inserts a copy of `bytes` at the front.
    mutating func prepend(_ bytes: UnsafeRawBufferPointer) {
        if bytes.isEmpty { return }
        searchedBytes = 0
        if !isUnique || start < bytes.count { move(toFrontGap: bytes.count, room: count) }
        start -= bytes.count
        (memory!.base + start).copyMemory(from: bytes.baseAddress!, byteCount: bytes.count)
    }

    // MARK: Consuming

    /// Removes the first `byteCount` bytes. Traps if there are fewer.
    public mutating func consume(_ byteCount: Int) {
        precondition(byteCount >= 0 && byteCount <= count, "the byte queue has fewer bytes than are consumed")
        start += byteCount
        searchedBytes = max(0, searchedBytes - byteCount)
        if start == end { becameEmpty() }
    }

    /// Removes the first `byteCount` bytes and returns them. Traps if there are fewer.
    public mutating func take(_ byteCount: Int) -> [UInt8] {
        precondition(byteCount >= 0 && byteCount <= count, "the byte queue has fewer bytes than are taken")
        let bytes = [UInt8](UnsafeRawBufferPointer(rebasing: unsafeBytes[..<byteCount]))
        consume(byteCount)
        return bytes
    }

    /// Moves as many bytes as fit to the beginning of `buffer`, and returns their number.
    mutating func take(into buffer: UnsafeMutableRawBufferPointer) -> Int {
        let byteCount = min(buffer.count, count)
        if byteCount == 0 { return 0 }
        buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: unsafeBytes[..<byteCount]))
        consume(byteCount)
        return byteCount
    }

    /// Removes all bytes, and releases the memory.
    public mutating func removeAll() {
        (start, end, searchedBytes) = (0, 0, 0)
        memory = nil
    }

    private mutating func becameEmpty() {
        (start, end, searchedBytes) = (0, 0, 0)
        if memoryBytes > Self.mostRetainedBytes { memory = nil }
    }

    // MARK: Memory

    private var isUnique: Bool {
        mutating get { isKnownUniquelyReferenced(&memory) }
    }

    /// Free memory behind the bytes, with room for `byteCount` more.
    private mutating func makeRoom(_ byteCount: Int) -> UnsafeMutableRawBufferPointer {
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

    /// Moves the bytes to new memory.
    private mutating func move(toFrontGap gap: Int, room: Int) {
        let bytes = unsafeBytes
        let larger = ByteMemory.allocate(max(Self.smallestBytes, gap + bytes.count + room).roundedUpToPowerOfTwo)
        if let first = bytes.baseAddress { (larger.base + gap).copyMemory(from: first, byteCount: bytes.count) }
        memory = larger
        (start, end) = (gap, gap + bytes.count)
    }
}

// SAFETY: memory is written only while a single value owns it; see `isUnique`.
extension ByteQueue: @unchecked Sendable {}

extension ByteQueue: CustomStringConvertible {
    /// Such as `<ByteQueue 12 bytes, limit 1048576>`.
    public var description: String { "<ByteQueue \(count) bytes, limit \(limitBytes)>" }
}

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
