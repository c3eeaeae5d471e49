/// Received bytes of unknown number, in pieces of memory, each as large as all earlier ones together, so that the
/// memory is at most twice the number of bytes, and nothing is zeroed, or moved before all bytes have arrived.
final class ReceivedPieces {
    /// The pieces; all of them except the last one are full.
    private var pieces: [UnsafeMutableRawBufferPointer] = []
    private var freeBytes = 0
    private let firstBytes: Int
    private(set) var count = 0

    init(firstBytes: Int) {
        self.firstBytes = firstBytes
    }

    deinit {
        for piece in pieces { piece.deallocate() }
    }

    /// Does what ``LookAhead/fill(mostBytes:_:)`` does.
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
