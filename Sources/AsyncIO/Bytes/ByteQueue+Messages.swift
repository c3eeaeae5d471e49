extension ByteQueue {
    /// Removes and returns the first line, as ``StreamReader/readLine(strippingNewline:)`` does; `nil` if no line is
    /// complete. After EOF, the remaining bytes are a last line without a newline.
    ///
    /// Throws a ``LimitOverrunError`` for a line longer than `limitBytes`, and removes the bytes of the line that are
    /// in the queue. Bytes that have been searched for a newline are not searched again.
    public mutating func takeLine(
        strippingNewline: Bool = true, limitBytes: Int = EventLoop.defaultLineLimitBytes
    ) throws(LimitOverrunError) -> String? {
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

    private mutating func lineTooLong(_ byteCount: Int, _ limitBytes: Int) -> LimitOverrunError {
        consume(byteCount)
        return LimitOverrunError("a line is longer than", limitBytes: limitBytes)
    }

    func text(_ byteCount: Int) -> String {
        String(decoding: UnsafeRawBufferPointer(rebasing: unsafeBytes[..<byteCount]), as: UTF8.self)
    }

    /// Removes the first frame and its length, and returns the frame; `nil` if it is not complete. Throws a
    /// ``LimitOverrunError``, and removes nothing, for a frame longer than `limitBytes` or than fits into the queue.
    public mutating func takeFrame(
        lengthPrefix: LengthPrefix = .uint32, limitBytes: Int = EventLoop.defaultLineLimitBytes
    ) throws(LimitOverrunError) -> [UInt8]? {
        let limit = min(limitBytes, self.limitBytes - lengthPrefix.byteCount)
        guard let length = try frameLength(lengthPrefix, limitBytes: limit),
            count - lengthPrefix.byteCount >= length
        else { return nil }
        consume(lengthPrefix.byteCount)
        return take(length)
    }

    /// The length of the next frame; `nil` if the bytes of the length are not complete.
    func frameLength(_ prefix: LengthPrefix, limitBytes: Int) throws(LimitOverrunError) -> Int? {
        if count < prefix.byteCount { return nil }
        let length = prefix.length(unsafeBytes)
        if length > UInt64(max(0, limitBytes)) {
            throw LimitOverrunError("a frame of \(length) bytes is longer than", limitBytes: limitBytes)
        }
        return Int(length)
    }
}
