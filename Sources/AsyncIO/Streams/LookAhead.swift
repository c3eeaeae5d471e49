/// Bytes that a reader has received and no read has taken yet. A reader that never looks ahead has no such object.
///
/// Its memory is retained from one line to the next, so that a line needs no allocation. It begins small and grows with
/// the amount that arrives at once, because most connections are idle most of the time.
final class LookAhead {
    private static let smallestRoom = 2 * 1024
    private static let largestRoom = 16 * 1024

    /// Without a limit here, because the reader checks the limits.
    @exclusivity(unchecked) var queue = ByteQueue(limitBytes: .max)
    @exclusivity(unchecked) private var roomBytes = smallestRoom

    /// Passes `receive` memory for up to `mostBytes` bytes, at least one, and returns its result: the number of bytes
    /// that it stored, or `nil` if there are none yet.
    func fill(
        mostBytes: Int, _ receive: (UnsafeMutableRawBufferPointer) throws -> Int?
    ) rethrows -> Int? {
        // At least as much room as there are bytes, so that a long line is not moved again and again.
        let room = min(mostBytes, max(roomBytes, queue.count))
        let received = try queue.fill(room, receive)
        if received == room { roomBytes = min(roomBytes * 2, Self.largestRoom) }
        return received
    }

    func prepend(_ bytes: ArraySlice<UInt8>) {
        bytes.withUnsafeBytes { queue.prepend($0) }
    }

    func takeAll() -> [UInt8] { queue.take(queue.count) }

    func takeLastLine() -> String? {
        if queue.isEmpty { return nil }
        defer { queue.removeAll() }
        return queue.text(queue.count)
    }

    // MARK: Searching

    /// Returns the match at `offset` or behind it that ends first; of several such matches, the shortest.
    func firstMatch(of separators: Separators, from offset: Int) -> Range<Int>? {
        if separators.list.count == 1 { return firstMatch(of: separators.list[0], in: offset..<queue.count) }
        // Searches in windows, so that a separator that does not occur is not searched in all bytes for each line.
        var window = offset..<offset
        while window.upperBound < queue.count {
            let width = max(2 * window.count, 2 * separators.longest, 256)
            // Matches that end earlier have been found already.
            let lower = max(offset, window.upperBound + 1 - separators.longest)
            window = lower..<min(lower + width, queue.count)
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

/// The separators that end a piece: one or several byte strings, none of them empty.
struct Separators {
    /// The separators, shortest first.
    let list: [[UInt8]]

    init(_ list: [[UInt8]]) throws(EventLoopError) {
        if list.isEmpty { throw EventLoopError(.invalidArgument, "the list of separators is empty") }
        self.list = list.sorted { $0.count < $1.count }
        if self.list[0].isEmpty { throw EventLoopError(.invalidArgument, "a separator must not be empty") }
    }

    var longest: Int { list[list.count - 1].count }
}
