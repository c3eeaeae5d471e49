/// Lines, and frames whose length stands in front of them.
extension ByteQueue {
    /// Removes a line and returns it, as ``StreamReader/readLine(strippingNewline:)`` does; `nil` as long as none is complete.
    ///
    /// After EOF, what is left is a last line without a newline. Bytes that are no UTF-8 are repaired, each by U+FFFD. What has
    /// been searched for a newline is not searched again.
    ///
    /// Throws `.limitExceeded` for a line longer than `limitBytes`, 64 KiB by default; it is dropped, as far as it is there.
    public mutating func takeLine(
        strippingNewline: Bool = true, limitBytes: Int = EventLoop.defaultLineLimitBytes
    ) throws(EventLoopError) -> String? {
        guard let newline = firstOffset(of: UInt8(ascii: "\n"), from: searchedBytes) else {
            searchedBytes = count
            if count > limitBytes { throw lineTooLong(count, limitBytes) }
            return nil
        }
        if newline > limitBytes { throw lineTooLong(newline + 1, limitBytes) }
        var length = newline + 1
        if strippingNewline {
            length = newline
            if length > 0, unsafeBytes[length - 1] == UInt8(ascii: "\r") { length -= 1 }
        }
        let line = text(length)
        consume(newline + 1)
        return line
    }

    private mutating func lineTooLong(_ byteCount: Int, _ limitBytes: Int) -> EventLoopError {
        consume(byteCount)
        return EventLoopError(.limitExceeded, "a line is longer than the limit of \(limitBytes) bytes")
    }

    /// The first `byteCount` bytes, which are there, as text. What is no UTF-8 is repaired.
    func text(_ byteCount: Int) -> String {
        String(decoding: UnsafeRawBufferPointer(rebasing: unsafeBytes[..<byteCount]), as: UTF8.self)
    }

    /// Removes a frame, and the length in front of it, and returns the frame; `nil` as long as it is not complete.
    ///
    /// Throws `.limitExceeded`, and removes nothing, for a frame longer than `limitBytes`, 64 KiB by default, and for one that does
    /// not fit into the queue's own ``limitBytes``.
    public mutating func takeFrame(
        lengthPrefix: LengthPrefix = .uint32, limitBytes: Int = EventLoop.defaultLineLimitBytes
    ) throws(EventLoopError) -> [UInt8]? {
        let limit = min(limitBytes, self.limitBytes - lengthPrefix.byteCount)
        guard let length = try frameLength(lengthPrefix, limitBytes: limit),
            count - lengthPrefix.byteCount >= length
        else { return nil }
        consume(lengthPrefix.byteCount)
        return take(length)
    }

    /// What the length in front of the next frame says; `nil` as long as that is not complete.
    func frameLength(_ prefix: LengthPrefix, limitBytes: Int) throws(EventLoopError) -> Int? {
        if count < prefix.byteCount { return nil }
        let length = prefix.length(unsafeBytes)
        if length > UInt64(max(0, limitBytes)) {
            throw EventLoopError(
                .limitExceeded, "a frame of \(length) bytes is longer than the limit of \(limitBytes) bytes")
        }
        return Int(length)
    }
}
