import AsyncIOSystem

/// Received bytes in buffers of the loop's pool, first in, first out.
struct ReceivedBuffers: ~Copyable {
    private struct Piece {
        var buffer: PooledBuffer
        var start: UInt32 = 0
        var end: UInt32

        var byteCount: Int { Int(end &- start) }
        var bytes: UnsafeRawBufferPointer {
            UnsafeRawBufferPointer(start: buffer.memory + Int(start), count: byteCount)
        }
    }

    /// Outside the array, because there is rarely a second one.
    private var firstPiece: Piece?
    /// Few, because the driver stops receiving after a few that nobody reads.
    private var others: [Piece] = []

    var count: Int { firstPiece == nil ? 0 : others.count + 1 }
    @inline(__always) var isEmpty: Bool { firstPiece == nil }
    @inline(__always) var startsWithWholeBuffer: Bool { firstPiece?.start == 0 }
    @inline(__always) var first: UnsafeRawBufferPointer? { firstPiece?.bytes }

    /// Whether the bytes are some of those of the first buffer.
    func firstContains(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard let first, let start = first.baseAddress, let other = bytes.baseAddress else { return false }
        return start <= other && other + bytes.count <= start + first.count
    }

    @inline(__always) mutating func append(_ buffer: PooledBuffer, byteCount: Int) {
        let piece = Piece(buffer: buffer, end: UInt32(truncatingIfNeeded: byteCount))
        if firstPiece == nil { firstPiece = piece } else { others.append(piece) }
    }

    /// Removes bytes of the first buffer. Returns the buffer after its last one.
    @inline(__always) mutating func consume(_ byteCount: Int) -> PooledBuffer? {
        guard let piece = firstPiece else { return nil }
        if byteCount < piece.byteCount {
            firstPiece?.start &+= UInt32(truncatingIfNeeded: byteCount)
            return nil
        }
        removeFirst()
        return piece.buffer
    }

    @inline(__always) private mutating func removeFirst() {
        firstPiece = nil
        if !others.isEmpty { firstPiece = others.removeFirst() }
    }

    /// Removes the first buffer, which then belongs to the caller. There must be one.
    mutating func takeBuffer() -> (buffer: PooledBuffer, byteCount: Int) {
        let piece = firstPiece!
        removeFirst()
        return (piece.buffer, piece.byteCount)
    }
}
