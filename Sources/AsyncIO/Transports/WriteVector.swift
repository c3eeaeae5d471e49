import CAsyncIO

/// The pieces of one vectored write, and how far they have been sent.
///
/// The kernel takes them from where they are. It takes a limited number of them and of bytes per call, and may stop in
/// the middle of a piece.
struct WriteVector {
    /// Pieces per system call. The kernel would take 1,024; a call of 64 is not slower per byte.
    static let mostPieces = 64
    /// Bytes per system call: some systems fail with more than 2 GiB.
    static let mostBytes = 1 << 30
    /// Up to so many bytes it is cheaper to join the pieces than to describe them to the kernel.
    static let joinedBytes = 8 * 1024

    private let pieces: [[UInt8]]
    /// The first piece that is not sent wholly, and what is sent of it.
    private var index = 0
    private var offset = 0
    /// Bytes that are not sent.
    private(set) var count: Int

    init(_ pieces: [[UInt8]]) {
        self.pieces = pieces
        count = pieces.reduce(0) { $0 + $1.count }
    }

    /// So many bytes were sent.
    mutating func advance(by sent: Int) {
        count -= sent
        var sent = sent
        while sent > 0 {
            let rest = pieces[index].count - offset
            if sent < rest {
                offset += sent
                return
            }
            sent -= rest
            index += 1
            offset = 0
        }
    }

    /// Calls `body` with the next pieces, none of them empty.
    func withNextPieces<Result>(
        atMostBytes: Int = mostBytes, _ body: (UnsafeBufferPointer<iovec>) -> Result
    ) -> Result {
        withUnsafeTemporaryAllocation(of: iovec.self, capacity: Self.mostPieces) { vector in
            var (index, offset, count, room) = (index, offset, 0, atMostBytes)
            while index < pieces.count, count < vector.count, room > 0 {
                // SAFETY: the memory of an array of bytes does not move as long as the array lives, which is until
                // `body` has returned; and the kernel only reads it.
                let bytes = pieces[index].withUnsafeBytes { UnsafeMutableRawBufferPointer(mutating: $0) }
                let length = min(bytes.count - offset, room)
                if length > 0 {
                    let piece = iovec(iov_base: bytes.baseAddress! + offset, iov_len: length)
                    vector.initializeElement(at: count, to: piece)
                    count += 1
                    room -= length
                }
                index += 1
                offset = 0
            }
            return withExtendedLifetime(pieces) { body(UnsafeBufferPointer(rebasing: vector[..<count])) }
        }
    }

    /// What is left, as one.
    var joined: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count)
        forEachRest { bytes += $0 }
        return bytes
    }

    /// Calls `body` with what is left, piece by piece.
    func forEachRest(_ body: (UnsafeRawBufferPointer) -> Void) {
        for position in index..<max(index, pieces.count) {
            pieces[position].withUnsafeBytes { bytes in
                body(UnsafeRawBufferPointer(rebasing: bytes[(position == index ? offset : 0)...]))
            }
        }
    }
}

extension UnsafeBufferPointer<iovec> {
    var byteCount: Int { reduce(0) { $0 + $1.iov_len } }
}
