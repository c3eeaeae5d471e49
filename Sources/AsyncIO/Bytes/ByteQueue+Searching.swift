import CAsyncIO

/// Searching what is in the queue, as fast as the C library can.
extension ByteQueue {
    /// The offset from the front of the first byte that equals `byte`, at `offset` or behind; `nil` if there is none. memchr(3).
    public func firstOffset(of byte: UInt8, from offset: Int = 0) -> Int? {
        withUnsafeBytes(of: byte) { find($0, in: checkedRange(from: offset)) }
    }

    /// The offset from the front where `pattern` begins for the first time, at `offset` or behind; `nil` if it does nowhere.
    /// memmem(3).
    ///
    /// Takes time that grows with the bytes that are searched, whatever is in them. An empty pattern is found at `offset`.
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
        // SAFETY: the range lies within what is there, and the pattern is not empty.
        let found = aio_find_bytes(
            unsafeBytes.baseAddress! + range.lowerBound, range.count, pattern.baseAddress!, pattern.count)
        return found < 0 ? nil : range.lowerBound + found
    }
}
