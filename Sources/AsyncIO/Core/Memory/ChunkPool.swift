import CAsyncIO
import Synchronization

/// The memory that ``StreamReader/readChunk()`` lends: one pool per loop, three sizes of buffers, last in, first out.
///
/// A buffer is taken on the loop's thread and may come back on any thread, also after the loop was closed: each chunk
/// holds the pool. On the loop's thread a buffer goes to a list that no lock protects; elsewhere it goes to a second
/// list under a lock, which the loop empties before it allocates. Each list keeps a bounded number of buffers and frees
/// the others.
///
/// SAFETY: `local` is touched only by the thread whose loop slot holds this loop's address. That is one thread at a
/// time: if another loop gets the address after this one is gone, the memory allocator has ordered the two.
final class ChunkPool: @unchecked Sendable {
    /// How much a chunk can hold.
    enum Size: Int {
        case small, medium, large

        var byteCount: Int {
            @inline(__always)
            get { 16_384 &<< (2 &* rawValue) }
        }

        /// How many buffers a list retains: a mebibyte of each size.
        fileprivate var mostRetained: Int {
            @inline(__always)
            get { 64 &>> (2 &* rawValue) }
        }

        var next: Size { self == .small ? .medium : .large }
        var previous: Size { self == .large ? .medium : .small }
    }

    /// Free buffers of one size. Each holds the address of the next one.
    private struct FreeList {
        private(set) var count = 0
        private var first: UnsafeMutableRawPointer?

        mutating func push(_ buffer: UnsafeMutableRawPointer) {
            buffer.storeBytes(of: first, as: UnsafeMutableRawPointer?.self)
            first = buffer
            count += 1
        }

        mutating func pop() -> UnsafeMutableRawPointer? {
            guard let buffer = first else { return nil }
            first = buffer.load(as: UnsafeMutableRawPointer?.self)
            count -= 1
            return buffer
        }

        mutating func freeAll() {
            while let buffer = pop() { buffer.deallocate() }
        }
    }

    private typealias FreeLists = InlineArray<3, FreeList>

    private let loopAddress: UnsafeMutableRawPointer
    private let local: UnsafeMutablePointer<FreeLists>
    private let returned = Locked(FreeLists(repeating: FreeList()))
    private let hasReturned = Atomic<Bool>(false)

    init(loop: EventLoop) {
        loopAddress = Unmanaged.passUnretained(loop).toOpaque()
        local = .allocate(capacity: 1)
        local.initialize(to: FreeLists(repeating: FreeList()))
    }

    deinit {
        for index in 0..<3 { local.pointee[index].freeAll() }
        local.deallocate()
        returned.withLock { lists in
            for index in 0..<3 { lists[index].freeAll() }
        }
    }

    /// A buffer, whose contents are undefined. The loop's thread.
    @inline(__always)
    func take(_ size: Size) -> UnsafeMutableRawPointer {
        if let buffer = local.pointee[size.rawValue].pop() { return buffer }
        return takeSlowly(size)
    }

    @inline(never)
    private func takeSlowly(_ size: Size) -> UnsafeMutableRawPointer {
        if hasReturned.load(ordering: .relaxed) {
            collectReturned()
            if let buffer = local.pointee[size.rawValue].pop() { return buffer }
        }
        return .allocate(byteCount: size.byteCount, alignment: 16)
    }

    /// Takes a buffer back. Any thread.
    @inline(__always)
    func put(_ buffer: UnsafeMutableRawPointer, _ size: Size) {
        guard aio_loop_slot_get() == loopAddress else { return putFromElsewhere(buffer, size) }
        if local.pointee[size.rawValue].count < size.mostRetained {
            local.pointee[size.rawValue].push(buffer)
        } else {
            buffer.deallocate()
        }
    }

    @inline(never)
    private func putFromElsewhere(_ buffer: UnsafeMutableRawPointer, _ size: Size) {
        let isRetained = returned.withLock { lists in
            if lists[size.rawValue].count >= size.mostRetained { return false }
            lists[size.rawValue].push(buffer)
            hasReturned.store(true, ordering: .relaxed)
            return true
        }
        if !isRetained { buffer.deallocate() }
    }

    private func collectReturned() {
        var lists = returned.withLock { lists in
            hasReturned.store(false, ordering: .relaxed)
            let taken = lists
            lists = FreeLists(repeating: FreeList())
            return taken
        }
        for index in 0..<3 {
            while let buffer = lists[index].pop() { local.pointee[index].push(buffer) }
        }
    }

    /// Free buffers, by size, for tests. The loop's thread.
    var retainedCounts: [Int] {
        (0..<3).map { index in local.pointee[index].count + returned.withLock { $0[index].count } }
    }
}

/// Which size of buffer a connection's next chunk gets: one that is filled asks for a larger one, and a connection
/// that sends little goes back to a small one, so that a chunk that waits for a slow peer holds little memory.
struct ChunkSizing {
    private(set) var size = ChunkPool.Size.small
    private var isShrinking = false

    @inline(__always)
    mutating func received(_ byteCount: Int) {
        if byteCount == size.byteCount {
            size = size.next
            isShrinking = false
        } else if size != .small {
            receivedPart(byteCount)
        }
    }

    private mutating func receivedPart(_ byteCount: Int) {
        let isSmall = byteCount <= size.previous.byteCount / 2
        // Twice in a row: the last piece of a large message is often a small one.
        if isSmall && isShrinking {
            size = size.previous
            isShrinking = false
        } else {
            isShrinking = isSmall
        }
    }
}
