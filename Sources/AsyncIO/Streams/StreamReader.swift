import AsyncIOSystem

/// The reading half of a connection, for tasks. asyncio: `StreamReader`.
///
/// Bytes go straight from the kernel into the caller's memory; there is no buffer in between, except for ``readLine(strippingNewline:)``,
/// which must look ahead. A cancelled read has taken no byte, and the stream stays usable. One task at a time: a second
/// one gets `.busy`.
///
/// Not `Sendable`. Its tasks belong on the loop's thread; a task that is elsewhere hops there for each call.
public final class StreamReader {
    let transport: StreamTransport
    private let lifetime: StreamLifetime
    /// The longest line, in bytes.
    public let limitBytes: Int
    /// What was read ahead and not yet taken.
    @exclusivity(unchecked) private var buffered: [UInt8] = []
    @exclusivity(unchecked) private var bufferedStart = 0
    @exclusivity(unchecked) private var isBusy = false
    @exclusivity(unchecked) private var binding = TaskBinding()
    /// How much memory is set aside for bytes that have not come yet: a peer that announces gigabytes gets no gigabytes.
    private static let chunkBytes = 64 * 1024

    init(_ lifetime: StreamLifetime, limitBytes: Int) {
        self.lifetime = lifetime
        transport = lifetime.transport
        self.limitBytes = max(0, limitBytes)
    }

    /// The loop that the connection belongs to.
    public var loop: EventLoop { transport.loop }

    /// Waits for bytes and moves as many into `buffer` as there are, from its beginning.
    ///
    /// - Returns: How many, at least one; `nil` at the end of the stream. An empty buffer gives 0.
    public func read(into buffer: inout [UInt8]) async throws -> Int? {
        if loop.isOnLoop {
            if let count = try buffer.withUnsafeMutableBytes({ try takeNow(into: $0) }) {
                return count == 0 && !buffer.isEmpty ? nil : count
            }
            let (isHome, record) = loop.homeRecord(&binding, #isolation)
            if isHome {
                try begin()
                defer { isBusy = false }
                while true {
                    try await transport.waitUntilReadable(record)
                    if let count = try buffer.withUnsafeMutableBytes({ try transport.receiveNow(into: $0) }) {
                        return count == 0 ? nil : count
                    }
                }
            }
        }
        return try await loop.hop { try await read(into: &buffer) }
    }

    /// Waits for bytes and returns what there is, at most `maximumBytes`, and at most 64 KiB at a time; empty at the end.
    /// asyncio: `read(n)`.
    ///
    /// A negative number is not "all" as in asyncio, but an error: that would have no bound.
    public func read(upTo maximumBytes: Int) async throws -> [UInt8] {
        try checkCount(maximumBytes)
        var buffer = [UInt8](repeating: 0, count: min(maximumBytes, Self.chunkBytes))
        let count = try await read(into: &buffer) ?? 0
        buffer.removeLast(buffer.count - count)
        return buffer
    }

    /// Waits for exactly `count` bytes. asyncio: `readexactly`.
    ///
    /// Throws an ``IncompleteReadError`` with what came if the stream ends before. A cancelled one keeps what came
    /// for the next read.
    public func readExactly(_ count: Int) async throws -> [UInt8] {
        try checkCount(count)
        guard loop.isOnLoop, loop.homeRecord(&binding, #isolation).isHome else {
            return try await loop.hop { try await readExactly(count) }
        }
        try begin()
        defer { isBusy = false }
        var bytes = [UInt8](repeating: 0, count: min(count, Self.chunkBytes))
        var filled = 0
        while filled < count {
            do {
                if filled == bytes.count {
                    bytes.append(contentsOf: repeatElement(0, count: min(count - filled, bytes.count)))
                }
                let received = try await fill(&bytes, from: filled)
                if received == 0 { throw IncompleteReadError(partial: Array(bytes[..<filled]), expectedBytes: count) }
                filled += received
            } catch let error as IncompleteReadError {
                throw error
            } catch {
                giveBack(bytes[..<filled])
                throw error
            }
        }
        return bytes
    }

    /// Waits for a line, as the standard library's `readLine` does; `nil` at the end. asyncio: `readline`.
    ///
    /// The last line needs no newline. Bytes that are no UTF-8 are repaired. Throws `.limitExceeded` for a line longer than
    /// ``limitBytes``; what was read of it is dropped.
    public func readLine(strippingNewline: Bool = true) async throws -> String? {
        guard loop.isOnLoop, loop.homeRecord(&binding, #isolation).isHome else {
            return try await loop.hop { try await readLine(strippingNewline: strippingNewline) }
        }
        try begin()
        defer { isBusy = false }
        var searched = bufferedStart
        while true {
            if let newline = buffered[searched...].firstIndex(of: UInt8(ascii: "\n")) {
                return try takeLine(through: newline, strippingNewline)
            }
            searched = buffered.count
            if buffered.count - bufferedStart > limitBytes { throw lineTooLong(through: buffered.count - 1) }
            let start = bufferedStart
            guard try await readAhead() else {
                defer { dropBuffer() }
                return buffered.isEmpty ? nil : String(decoding: buffered[bufferedStart...], as: UTF8.self)
            }
            // Reading ahead may have moved the bytes to the front.
            searched -= start - bufferedStart
        }
    }

    // MARK: The look-ahead

    private func takeLine(through newline: Int, _ strippingNewline: Bool) throws -> String {
        if newline - bufferedStart > limitBytes { throw lineTooLong(through: newline) }
        var end = newline + 1
        if strippingNewline {
            end = newline
            if end > bufferedStart, buffered[end - 1] == UInt8(ascii: "\r") { end -= 1 }
        }
        let line = String(decoding: buffered[bufferedStart..<end], as: UTF8.self)
        consume(through: newline)
        return line
    }

    private func lineTooLong(through end: Int) -> EventLoopError {
        consume(through: end)
        return EventLoopError(.limitExceeded, "a line is longer than the limit of \(limitBytes) bytes")
    }

    private func consume(through index: Int) {
        bufferedStart = index + 1
        if bufferedStart == buffered.count { dropBuffer() }
    }

    private func dropBuffer() {
        buffered = []
        bufferedStart = 0
    }

    private func giveBack(_ bytes: ArraySlice<UInt8>) {
        if bytes.isEmpty { return }
        buffered.replaceSubrange(..<bufferedStart, with: bytes)
        bufferedStart = 0
    }

    /// Appends what comes to the look-ahead. False at the end. A cancelled one appends nothing.
    private func readAhead() async throws -> Bool {
        if bufferedStart > 0 {
            buffered.removeFirst(bufferedStart)
            bufferedStart = 0
        }
        let kept = buffered.count
        var chunk = [UInt8](repeating: 0, count: min(16 * 1024 - 1, max(0, limitBytes - kept)) + 1)
        let received = try await receive(&chunk, from: 0)
        buffered.append(contentsOf: chunk[..<received])
        return received > 0
    }

    /// From the look-ahead first, then from the connection; 0 at the end.
    private func fill(_ bytes: inout [UInt8], from start: Int) async throws -> Int {
        let ahead = bytes.withUnsafeMutableBytes {
            takeAhead(into: UnsafeMutableRawBufferPointer(rebasing: $0[start...]))
        }
        return ahead > 0 ? ahead : try await receive(&bytes, from: start)
    }

    /// Waits for bytes of the connection; 0 at the end. At home.
    private func receive(_ bytes: inout [UInt8], from start: Int) async throws -> Int {
        while true {
            let received = try bytes.withUnsafeMutableBytes {
                try transport.receiveNow(into: UnsafeMutableRawBufferPointer(rebasing: $0[start...]))
            }
            if let received { return received }
            try await transport.waitUntilReadable(loop.homeRecord(&binding, #isolation).record)
        }
    }

    private func checkCount(_ count: Int) throws {
        if count < 0 { throw EventLoopError(.invalidArgument, "cannot read \(count) bytes") }
    }

    /// The look-ahead belongs to one task from its first look to its last.
    private func begin() throws {
        if isBusy { throw EventLoopError.busy("read from this connection") }
        isBusy = true
    }

    @inline(__always)
    private func takeNow(into buffer: UnsafeMutableRawBufferPointer) throws -> Int? {
        if isBusy { throw EventLoopError.busy("read from this connection") }
        if !buffered.isEmpty { return takeAhead(into: buffer) }
        return try transport.receiveNow(into: buffer)
    }

    private func takeAhead(into buffer: UnsafeMutableRawBufferPointer) -> Int {
        let count = min(buffer.count, buffered.count - bufferedStart)
        if count == 0 { return 0 }
        buffered.withUnsafeBytes {
            buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[bufferedStart..<(bufferedStart + count)]))
        }
        consume(through: bufferedStart + count - 1)
        return count
    }
}

/// The stream ended in the middle of what was to be read. asyncio: `IncompleteReadError`.
public struct IncompleteReadError: Error, Sendable, CustomStringConvertible {
    /// What came.
    public var partial: [UInt8]
    public var expectedBytes: Int

    public var description: String {
        "the stream ended after \(partial.count) of \(expectedBytes) expected bytes"
    }
}
