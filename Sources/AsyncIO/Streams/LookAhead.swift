import CAsyncIO

/// Bytes that a reader has received and nobody has taken. It knows no connection.
///
/// Its memory is kept from one line to the next, so that a line costs no allocation of its own. It begins small and grows
/// with what comes at once, since most connections are idle most of the time.
struct LookAhead {
    private static let smallestRoom = 2 * 1024
    private static let largestRoom = 16 * 1024
    /// More than that is given back as soon as it is empty.
    private static let mostKeptBytes = 64 * 1024

    private var memory: [UInt8] = []
    private var start = 0
    private var end = 0
    private var roomBytes = smallestRoom

    var count: Int { end - start }
    var isEmpty: Bool { start == end }
    /// For tests.
    var memoryBytes: Int { memory.count }

    // MARK: Filling

    /// Lends `receive` memory for up to `mostBytes` bytes, at least one, behind those that are there.
    ///
    /// - Returns: What `receive` does: how many bytes it put there; `nil` if there are none yet.
    mutating func fill(
        mostBytes: Int, _ receive: (UnsafeMutableRawBufferPointer) throws -> Int?
    ) rethrows -> Int? {
        // Twice the memory for what goes on: a long line is not moved again and again.
        let room = min(mostBytes, max(roomBytes, count))
        makeRoom(room)
        let end = end
        let received = try memory.withUnsafeMutableBytes {
            try receive(UnsafeMutableRawBufferPointer(rebasing: $0[end..<(end + room)]))
        }
        guard let received else { return nil }
        self.end += received
        if received == room { roomBytes = min(roomBytes * 2, Self.largestRoom) }
        return received
    }

    private mutating func makeRoom(_ room: Int) {
        if memory.count - end >= room { return }
        if start > 0 {
            let kept = start..<end
            memory.withUnsafeMutableBytes {
                $0.copyMemory(from: UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer($0)[kept]))
            }
            (start, end) = (0, kept.count)
        }
        let missing = room - (memory.count - end)
        // Not `repeatElement`, which is walked byte by byte in builds for debugging.
        if missing > 0 { memory += [UInt8](repeating: 0, count: missing) }
    }

    /// Puts `bytes` in front of those that are there.
    mutating func prepend(_ bytes: ArraySlice<UInt8>) {
        if bytes.isEmpty { return }
        memory.replaceSubrange(..<start, with: bytes)
        end += bytes.count - start
        start = 0
    }

    // MARK: Taking

    /// Moves what is there to the beginning of `buffer`.
    mutating func take(into buffer: UnsafeMutableRawBufferPointer) -> Int {
        let count = min(buffer.count, count)
        if count == 0 { return 0 }
        memory.withUnsafeBytes {
            buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[start..<(start + count)]))
        }
        drop(count)
        return count
    }

    /// Takes the first `count` bytes, which are there.
    mutating func take(_ count: Int) -> [UInt8] {
        let bytes = Array(memory[start..<(start + count)])
        drop(count)
        return bytes
    }

    /// The first `count` bytes, which are there, as text. What is no UTF-8 is repaired.
    func text(_ count: Int) -> String {
        String(decoding: memory[start..<(start + count)], as: UTF8.self)
    }

    subscript(offset: Int) -> UInt8 { memory[start + offset] }

    mutating func drop(_ count: Int) {
        start += count
        if start == end { removeAll() }
    }

    mutating func removeAll() {
        (start, end) = (0, 0)
        if memory.count > Self.mostKeptBytes { memory = [] }
    }

    // MARK: Searching

    /// Where the first `byte` is that stands at `offset` or behind.
    func firstIndex(of byte: UInt8, from offset: Int) -> Int? {
        withUnsafeBytes(of: byte) { find($0, in: offset..<count) }
    }

    /// The match, at `offset` or behind, that ends first; of those that end together the shortest.
    func firstMatch(of separators: Separators, from offset: Int) -> Range<Int>? {
        if separators.list.count == 1 { return firstMatch(of: separators.list[0], in: offset..<count) }
        // In windows, so that a separator that is not there is not looked for in all that is there, line by line.
        var window = offset..<offset
        while window.upperBound < count {
            let width = max(2 * window.count, 2 * separators.longest, 256)
            // What ends before has been found already.
            let lower = max(offset, window.upperBound + 1 - separators.longest)
            window = lower..<min(lower + width, count)
            var first: Range<Int>?
            for separator in separators.list {
                let match = firstMatch(of: separator, in: window)
                if let match, match.upperBound < first?.upperBound ?? .max { first = match }
            }
            if let first { return first }
        }
        return nil
    }

    private func firstMatch(of separator: [UInt8], in range: Range<Int>) -> Range<Int>? {
        separator.withUnsafeBytes { bytes in
            find(bytes, in: range).map { $0..<($0 + bytes.count) }
        }
    }

    private func find(_ pattern: UnsafeRawBufferPointer, in range: Range<Int>) -> Int? {
        if range.count < pattern.count { return nil }
        let found = memory.withUnsafeBytes {
            // SAFETY: the range lies within what is there, and the pattern is not empty.
            aio_find_bytes($0.baseAddress! + start + range.lowerBound, range.count, pattern.baseAddress!, pattern.count)
        }
        return found < 0 ? nil : range.lowerBound + found
    }
}

/// What ends a piece: one or several byte strings, none of them empty.
struct Separators {
    /// Shortest first.
    let list: [[UInt8]]

    init(_ list: [[UInt8]]) throws(EventLoopError) {
        if list.isEmpty { throw EventLoopError(.invalidArgument, "cannot read up to one of no separators") }
        self.list = list.sorted { $0.count < $1.count }
        if self.list[0].isEmpty { throw EventLoopError(.invalidArgument, "a separator needs a byte at least") }
    }

    var longest: Int { list[list.count - 1].count }
}
