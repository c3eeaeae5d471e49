/// The timers that are not due yet: a heap with four children per node, ordered by deadline and then by creation.
///
/// With four children the heap is half as deep as with two, and they share a cache line or two. The entry of a
/// cancelled timer is stale: it stays until it is due or until half of the entries are stale. asyncio: `_scheduled`.
struct TimerHeap: ~Copyable {
    struct Entry {
        var deadline: Int64
        var sequence: UInt64
        var id: SlotID

        @inline(__always) static func < (lhs: Entry, rhs: Entry) -> Bool {
            lhs.deadline != rhs.deadline ? lhs.deadline < rhs.deadline : lhs.sequence < rhs.sequence
        }
    }

    /// asyncio's `_MIN_SCHEDULED_TIMER_HANDLES`: smaller heaps are not worth a rebuild.
    private static let smallestCompacted = 100

    // SAFETY: of `capacity` entries, the first `count` are initialized; entries are trivial.
    private var entries: UnsafeMutablePointer<Entry>
    private var capacity = 64
    private var nextSequence: UInt64 = 0
    private var staleCount = 0
    private(set) var count = 0

    init() { entries = .allocate(capacity: capacity) }
    deinit { entries.deallocate() }

    @inline(__always) var hasStaleEntries: Bool { staleCount > 0 }

    /// The entry with the earliest deadline, which may be stale.
    @inline(__always) var first: Entry? { count > 0 ? entries[0] : nil }

    mutating func insert(deadline: LoopInstant, id: SlotID) {
        let entry = Entry(deadline: deadline.nanoseconds, sequence: nextSequence, id: id)
        nextSequence &+= 1
        if count == capacity { grow() }
        count &+= 1
        siftUp(from: count &- 1, entry)
    }

    mutating func removeFirst(isStale: Bool) {
        precondition(count > 0)
        if isStale { staleCount -= 1 }
        count &-= 1
        if count > 0 { siftDown(from: 0, entries[count]) }
    }

    /// Removes the entry of `id` if it is the last one of the array, as that of a short timer often is.
    @inline(__always) mutating func removeIfLast(_ id: SlotID) -> Bool {
        guard count > 0, entries[count &- 1].id == id else { return false }
        count &-= 1
        return true
    }

    /// Notes that an entry is stale. Rebuilds the heap when most entries are.
    mutating func cancelled(isPending: (SlotID) -> Bool) {
        staleCount += 1
        if count > Self.smallestCompacted, staleCount * 2 > count { compact(isPending) }
    }

    mutating func removeAll() {
        count = 0
        staleCount = 0
    }

    @inline(never) private mutating func compact(_ isPending: (SlotID) -> Bool) {
        var pendingCount = 0
        for index in 0..<count where isPending(entries[index].id) {
            entries[pendingCount] = entries[index]
            pendingCount += 1
        }
        count = pendingCount
        staleCount = 0
        guard count > 1 else { return }
        for index in stride(from: (count - 2) / 4, through: 0, by: -1) { siftDown(from: index, entries[index]) }
    }

    @inline(never) private mutating func grow() {
        let larger = UnsafeMutablePointer<Entry>.allocate(capacity: capacity * 2)
        larger.moveInitialize(from: entries, count: count)
        entries.deallocate()
        entries = larger
        capacity *= 2
    }

    /// Inserts `entry` at `start`, which is free, or nearer to the root.
    @inline(__always) private func siftUp(from start: Int, _ entry: Entry) {
        var index = start
        while index > 0 {
            let parent = (index &- 1) / 4
            guard entry < entries[parent] else { break }
            entries[index] = entries[parent]
            index = parent
        }
        entries[index] = entry
    }

    /// Inserts `entry` at `start`, which is free, or farther from the root.
    private func siftDown(from start: Int, _ entry: Entry) {
        var index = start
        while true {
            let firstChild = index * 4 + 1
            guard firstChild < count else { break }
            var smallest = firstChild
            for child in (firstChild + 1)..<max(firstChild + 1, min(firstChild + 4, count))
            where entries[child] < entries[smallest] {
                smallest = child
            }
            guard entries[smallest] < entry else { break }
            entries[index] = entries[smallest]
            index = smallest
        }
        entries[index] = entry
    }
}
