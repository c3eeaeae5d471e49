import AsyncIOSystem

/// Received bytes in buffers of the loop's pool, first in, first out.
struct ReceivedBuffers: ~Copyable {
    private struct Piece {
        var buffer: PooledBuffer
        var bytes: Range<Int>
    }

    /// Few, because the driver stops receiving after a few that nobody reads.
    private var pieces: [Piece] = []

    var count: Int { pieces.count }
    var isEmpty: Bool { pieces.isEmpty }

    var startsWithWholeBuffer: Bool { pieces.first?.bytes.lowerBound == 0 }

    var first: UnsafeRawBufferPointer? {
        pieces.first.map { UnsafeRawBufferPointer(rebasing: $0.buffer.bytes[$0.bytes]) }
    }

    mutating func append(_ buffer: PooledBuffer, byteCount: Int) {
        pieces.append(Piece(buffer: buffer, bytes: 0..<byteCount))
    }

    /// Removes bytes of the first buffer, which returns to the pool after its last one.
    mutating func consume(_ byteCount: Int, _ pool: BufferPool) {
        guard let piece = pieces.first else { return }
        let rest = piece.bytes.dropFirst(byteCount)
        if rest.isEmpty {
            pieces.removeFirst()
            pool.put(piece.buffer.memory, piece.buffer.size)
        } else {
            pieces[0].bytes = rest
        }
    }

    mutating func take(into memory: UnsafeMutableRawBufferPointer, _ pool: BufferPool) -> Int {
        guard let first else { return 0 }
        let byteCount = min(memory.count, first.count)
        memory.copyMemory(from: UnsafeRawBufferPointer(rebasing: first[..<byteCount]))
        consume(byteCount, pool)
        return byteCount
    }

    /// Removes the first buffer, which then belongs to the caller. There must be one.
    mutating func takeBuffer() -> (buffer: PooledBuffer, byteCount: Int) {
        let piece = pieces.removeFirst()
        return (piece.buffer, piece.bytes.count)
    }

    mutating func removeAll(_ pool: BufferPool) {
        for piece in pieces { pool.put(piece.buffer.memory, piece.buffer.size) }
        pieces = []
    }
}
