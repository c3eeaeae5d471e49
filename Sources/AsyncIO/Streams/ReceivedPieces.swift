/// Received bytes of which nobody knows how many will come, in pieces of memory, each as large as all before it.
///
/// So the memory is at most twice what came, and nothing is zeroed, or moved before all is there.
final class ReceivedPieces {
    /// All of them full, but the last one.
    private var pieces: [UnsafeMutableRawBufferPointer] = []
    private var freeBytes = 0
    private let firstBytes: Int
    /// How many bytes came.
    private(set) var count = 0

    init(firstBytes: Int) {
        self.firstBytes = firstBytes
    }

    deinit {
        for piece in pieces { piece.deallocate() }
    }

    /// Lends `receive` memory for up to `mostBytes` bytes, at least one.
    ///
    /// - Returns: What `receive` returns: how many bytes it put there; `nil` for none.
    func fill(
        mostBytes: Int, _ receive: (UnsafeMutableRawBufferPointer) throws -> Int?
    ) rethrows -> Int? {
        if freeBytes == 0 {
            freeBytes = min(mostBytes, max(firstBytes, count))
            pieces.append(.allocate(byteCount: freeBytes, alignment: 64))
        }
        let piece = pieces[pieces.count - 1]
        let free = piece.suffix(freeBytes).prefix(mostBytes)
        let received = try receive(UnsafeMutableRawBufferPointer(rebasing: free))
        count += received ?? 0
        freeBytes -= received ?? 0
        return received
    }

    func joined() -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: count) { buffer, initializedCount in
            for piece in pieces {
                let length = min(piece.count, count - initializedCount)
                let rest = UnsafeMutableBufferPointer(rebasing: buffer[initializedCount...])
                UnsafeMutableRawBufferPointer(rest).copyMemory(from: UnsafeRawBufferPointer(rebasing: piece[..<length]))
                initializedCount += length
            }
        }
    }
}
