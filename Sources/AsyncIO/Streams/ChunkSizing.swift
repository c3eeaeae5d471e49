import AsyncIOSystem

/// Chooses the size of the buffer for a connection's next chunk: a larger one after a full one, and a small one for a
/// connection that receives little, so that a chunk that waits for a slow peer uses little memory.
struct ChunkSizing {
    private(set) var size = BufferPool.Size.small
    private var isShrinking = false

    @inline(__always) mutating func received(_ byteCount: Int) {
        if byteCount == size.byteCount {
            size = size.next
            isShrinking = false
        } else if size != .small {
            receivedPart(byteCount)
        }
    }

    private mutating func receivedPart(_ byteCount: Int) {
        let isSmall = byteCount <= size.previous.byteCount / 2
        // Only after two small pieces in a row, because the last piece of a large message is often small.
        if isSmall && isShrinking {
            size = size.previous
            isShrinking = false
        } else {
            isShrinking = isSmall
        }
    }
}

extension BufferPool.Size {
    fileprivate var next: BufferPool.Size { self == .small ? .medium : .large }
    fileprivate var previous: BufferPool.Size { self == .large ? .medium : .small }
}
