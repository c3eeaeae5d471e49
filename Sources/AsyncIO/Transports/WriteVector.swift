import CAsyncIO

/// The pieces of one vectored write, which the kernel reads in place, and how far they have been sent.
struct WriteVector {
    /// The most pieces per system call. The kernel would accept 1,024; a call of 64 is not slower per byte.
    static let mostPieces = 64
    /// The most bytes per system call. Some systems fail with more than 2 GiB.
    static let mostBytes = 1 << 30
    /// Up to this number of bytes it is cheaper to join the pieces than to describe them to the kernel.
    static let joinedBytes = 8 * 1024

    private let pieces: [[UInt8]]
    /// The first piece that is not completely sent, and how many of its bytes are sent.
    private var index = 0
    private var offset = 0
    private(set) var count: Int

    init(_ pieces: [[UInt8]]) {
        self.pieces = pieces
        count = pieces.reduce(0) { $0 + $1.count }
    }

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
                // `body` has returned. The kernel only reads it.
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

    var joined: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count)
        forEachRest { bytes += $0 }
        return bytes
    }

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
