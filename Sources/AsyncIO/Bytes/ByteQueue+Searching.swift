import CAsyncIO

/// Searching the bytes in the queue, with the functions of the C library.
extension ByteQueue {
    /// Returns the offset of the first byte that equals `byte`, at or after `offset`; `nil` if there is none.
    /// memchr(3).
    public func firstOffset(of byte: UInt8, from offset: Int = 0) -> Int? {
        withUnsafeBytes(of: byte) { find($0, in: checkedRange(from: offset)) }
    }

    /// Returns the offset of the first occurrence of `pattern`, at or after `offset`; `nil` if there is none.
    /// memmem(3).
    ///
    /// Takes time linear in the number of searched bytes, for any content. An empty pattern is found at `offset`.
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
}
