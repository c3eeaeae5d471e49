import AsyncIOSystem
import CAsyncIO
import Synchronization

/// The memory that ``StreamReader/readChunk()`` lends, and that a proactor receives into: one pool per loop, with
/// buffers of three sizes, last in, first out.
///
/// A buffer is taken on the loop's thread, and may be returned on any thread, even after the loop was closed, because
/// each chunk retains the pool. On other threads it goes to a second list under a lock, which the loop empties before
/// it allocates. Each list retains a bounded number of buffers.
///
/// SAFETY: there are three sizes, so their indices need no check. `local` is accessed only by the thread whose loop
/// slot contains this loop's address. That is one thread at a time: if another loop gets the address after this one was
/// freed, the memory allocator orders the two.
final class ChunkPool: BufferPool, @unchecked Sendable {
    /// A list of free buffers of one size. Each buffer contains the address of the next one.
    private struct FreeList {
        private(set) var count = 0
        private var first: UnsafeMutableRawPointer?

        mutating func push(_ buffer: UnsafeMutableRawPointer) {
            buffer.storeBytes(of: first, as: UnsafeMutableRawPointer?.self)
            first = buffer
            count &+= 1
        }

        mutating func pop() -> UnsafeMutableRawPointer? {
            guard let buffer = first else { return nil }
            first = buffer.load(as: UnsafeMutableRawPointer?.self)
            count &-= 1
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

    /// - Thread: the loop's.
    @inline(__always)
    override func take(_ size: Size) -> UnsafeMutableRawPointer {
        if let buffer = local.pointee[unchecked: size.index].pop() { return buffer }
        return takeSlowly(size)
    }

    @inline(never)
    private func takeSlowly(_ size: Size) -> UnsafeMutableRawPointer {
        if hasReturned.load(ordering: .relaxed) {
            collectReturned()
            if let buffer = local.pointee[unchecked: size.index].pop() { return buffer }
        }
        return .allocate(byteCount: size.byteCount, alignment: 16)
    }

    /// - Thread: any.
    @inline(__always)
    override func put(_ buffer: UnsafeMutableRawPointer, _ size: Size) {
        guard aio_loop_slot_get() == loopAddress else { return putFromElsewhere(buffer, size) }
        if local.pointee[unchecked: size.index].count < size.mostRetained {
            local.pointee[unchecked: size.index].push(buffer)
        } else {
            buffer.deallocate()
        }
    }

    @inline(never)
    private func putFromElsewhere(_ buffer: UnsafeMutableRawPointer, _ size: Size) {
        let isRetained = returned.withLock { lists in
            if lists[size.index].count >= size.mostRetained { return false }
            lists[size.index].push(buffer)
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

    /// For tests.
    var retainedCounts: [Int] {
        (0..<3).map { index in local.pointee[index].count + returned.withLock { $0[index].count } }
    }
}

extension BufferPool.Size {
    /// A mebibyte of each size.
    fileprivate var mostRetained: Int {
        @inline(__always)
        get { 64 &>> (2 &* index) }
    }

    fileprivate var next: BufferPool.Size { self == .small ? .medium : .large }
    fileprivate var previous: BufferPool.Size { self == .large ? .medium : .small }
}

/// Chooses the size of the buffer for a connection's next chunk: a larger one after a full one, and a small one for a
/// connection that receives little, so that a chunk that waits for a slow peer uses little memory.
struct ChunkSizing {
    private(set) var size = BufferPool.Size.small
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
        // Only after two small pieces in a row, because the last piece of a large message is often small.
        if isSmall && isShrinking {
            size = size.previous
            isShrinking = false
        } else {
            isShrinking = isSmall
        }
    }
}
