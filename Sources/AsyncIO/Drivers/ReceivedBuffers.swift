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
    /// The bytes of the first buffer that were not consumed.
    @inline(__always) var first: (bytes: UnsafeRawBufferPointer, buffer: PooledBuffer)? {
        firstPiece.map { ($0.bytes, $0.buffer) }
    }

    @inline(__always) mutating func append(_ buffer: PooledBuffer, byteCount: Int) {
        let piece = Piece(buffer: buffer, end: UInt32(truncatingIfNeeded: byteCount))
        if firstPiece == nil { firstPiece = piece } else { others.append(piece) }
    }

    /// Removes bytes of the first buffer, which is released after its last one.
    @inline(__always) mutating func consume(_ byteCount: Int, _ pool: Unmanaged<BufferPool>) {
        guard let piece = firstPiece else { return }
        if byteCount >= piece.byteCount {
            removeFirst()
            piece.buffer.release(to: pool)
        } else {
            firstPiece?.start &+= UInt32(truncatingIfNeeded: byteCount)
        }
    }

    @inline(__always) private mutating func removeFirst() {
        firstPiece = nil
        if !others.isEmpty { firstPiece = others.removeFirst() }
    }

    mutating func take(into memory: UnsafeMutableRawBufferPointer, _ pool: Unmanaged<BufferPool>) -> Int {
        var taken = 0
        while taken < memory.count, let (bytes, _) = first {
            let byteCount = min(memory.count - taken, bytes.count)
            (memory.baseAddress! + taken).copyMemory(from: bytes.baseAddress!, byteCount: byteCount)
            consume(byteCount, pool)
            taken += byteCount
        }
        return taken
    }

    /// Removes the first buffer, which then belongs to the caller. There must be one.
    mutating func takeBuffer() -> (buffer: PooledBuffer, byteCount: Int) {
        let piece = firstPiece!
        removeFirst()
        return (piece.buffer, piece.byteCount)
    }

    mutating func removeAll(_ pool: Unmanaged<BufferPool>) {
        while let piece = firstPiece {
            removeFirst()
            piece.buffer.release(to: pool)
        }
    }
}
