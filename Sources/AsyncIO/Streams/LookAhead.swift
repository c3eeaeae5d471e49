/// Bytes that a reader has received and nobody has taken. It knows no connection.
///
/// An object, because a reader that never looks ahead has none.
///
/// Its memory is retained from one line to the next, so that a line costs no allocation of its own. It begins small and grows
/// with what comes at once, since most connections are idle most of the time.
final class LookAhead {
    private static let smallestRoom = 2 * 1024
    private static let largestRoom = 16 * 1024

    /// The reader knows the limits.
    @exclusivity(unchecked) private(set) var queue = ByteQueue(limitBytes: .max)
    @exclusivity(unchecked) private var roomBytes = smallestRoom

    var count: Int { queue.count }
    var isEmpty: Bool { queue.isEmpty }
    /// For tests.
    var memoryBytes: Int { queue.memoryBytes }

    /// Lends `receive` memory for up to `mostBytes` bytes, at least one, behind those that are there.
    ///
    /// - Returns: What `receive` does: how many bytes it put there; `nil` if there are none yet.
    func fill(
        mostBytes: Int, _ receive: (UnsafeMutableRawBufferPointer) throws -> Int?
    ) rethrows -> Int? {
        // Twice the memory for what goes on: a long line is not moved again and again.
        let room = min(mostBytes, max(roomBytes, count))
        let received = try queue.fill(room, receive)
        if received == room { roomBytes = min(roomBytes * 2, Self.largestRoom) }
        return received
    }

    /// Puts `bytes` in front of those that are there.
    func prepend(_ bytes: ArraySlice<UInt8>) {
        bytes.withUnsafeBytes { queue.prepend($0) }
    }

    // MARK: Taking

    /// Moves what is there to the beginning of `buffer`.
    func take(into buffer: UnsafeMutableRawBufferPointer) -> Int { queue.take(into: buffer) }

    /// Takes the first `count` bytes, which are there.
    func take(_ count: Int) -> [UInt8] { queue.take(count) }

    /// Takes the next line, `nil` if its newline is not there. Throws as ``StreamReader/readLine(strippingNewline:)``.
    func takeLine(strippingNewline: Bool, limitBytes: Int) throws(EventLoopError) -> String? {
        try queue.takeLine(strippingNewline: strippingNewline, limitBytes: limitBytes)
    }

    /// Takes all that is there as a line without a newline; `nil` if there is nothing.
    func takeLastLine() -> String? {
        if isEmpty { return nil }
        let line = queue.text(count)
        drop(count)
        return line
    }

    func drop(_ count: Int) { queue.consume(count) }

    // MARK: Searching

    /// Where the first `byte` is that stands at `offset` or behind.
    func firstIndex(of byte: UInt8, from offset: Int) -> Int? { queue.firstOffset(of: byte, from: offset) }

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
            queue.find(bytes, in: range).map { $0..<($0 + bytes.count) }
        }
    }
}

/// What ends a piece: one or several byte strings, none of them empty.
struct Separators {
    /// Shortest first.
    let list: [[UInt8]]

    init(_ list: [[UInt8]]) throws(EventLoopError) {
        if list.isEmpty { throw EventLoopError(.invalidArgument, "the list of separators is empty") }
        self.list = list.sorted { $0.count < $1.count }
        if self.list[0].isEmpty { throw EventLoopError(.invalidArgument, "a separator must not be empty") }
    }

    var longest: Int { list[list.count - 1].count }
}
