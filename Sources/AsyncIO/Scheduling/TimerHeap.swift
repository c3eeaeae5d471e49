/// The timers that wait for their time: a heap with four children per node, ordered by deadline and then by creation.
///
/// Four children halve the depth of two, and the children of a node share a cache line or two. A cancelled timer's callback
/// is freed at once, while its entry stays until it is due or until half of the heap is such entries. asyncio: `_scheduled`.
struct TimerHeap: ~Copyable {
    struct Entry {
        var deadline: Int64
        var sequence: UInt64
        var id: SlotID

        @inline(__always)
        static func < (lhs: Entry, rhs: Entry) -> Bool {
            lhs.deadline != rhs.deadline ? lhs.deadline < rhs.deadline : lhs.sequence < rhs.sequence
        }
    }

    /// asyncio's `_MIN_SCHEDULED_TIMER_HANDLES`: smaller heaps are not worth a rebuild.
    private static let smallestCompacted = 100

    // SAFETY: of `capacity` places, the first `count` are initialized; entries are trivial.
    private var entries: UnsafeMutablePointer<Entry>
    private var capacity = 64
    private var nextSequence: UInt64 = 0
    /// Entries whose timer was cancelled.
    private var dead = 0
    /// Entries, dead ones included.
    private(set) var count = 0

    init() {
        entries = .allocate(capacity: capacity)
    }

    deinit {
        entries.deallocate()
    }

    @inline(__always)
    var hasStaleEntries: Bool { dead > 0 }

    /// The next entry, dead or alive.
    @inline(__always)
    var first: Entry? { count > 0 ? entries[0] : nil }

    mutating func insert(deadline: LoopInstant, id: SlotID) {
        let entry = Entry(deadline: deadline.nanoseconds, sequence: nextSequence, id: id)
        nextSequence &+= 1
        if count == capacity { grow() }
        count &+= 1
        siftUp(from: count &- 1, entry)
    }

    mutating func removeFirst() {
        precondition(count > 0)
        count &-= 1
        if count > 0 { siftDown(from: 0, entries[count]) }
    }

    /// The first entry was found dead and removed.
    mutating func discardedFirst() {
        dead -= 1
    }

    /// Removes the entry of `name` if that is the last one of the array, as it often is for a timer that lives briefly: nothing
    /// is below it.
    @inline(__always)
    mutating func removeIfLast(_ id: SlotID) -> Bool {
        guard count > 0, entries[count &- 1].id == id else { return false }
        count &-= 1
        return true
    }

    /// A timer was cancelled whose entry is still here. Rebuilds the heap when most of it is dead.
    mutating func cancelled(isAlive: (SlotID) -> Bool) {
        dead += 1
        if count > Self.smallestCompacted, dead * 2 > count { compact(isAlive) }
    }

    mutating func removeAll() {
        count = 0
        dead = 0
    }

    @inline(never)
    private mutating func compact(_ isAlive: (SlotID) -> Bool) {
        var living = 0
        for index in 0..<count where isAlive(entries[index].id) {
            entries[living] = entries[index]
            living += 1
        }
        count = living
        dead = 0
        guard count > 1 else { return }
        for index in stride(from: (count - 2) / 4, through: 0, by: -1) { siftDown(from: index, entries[index]) }
    }

    @inline(never)
    private mutating func grow() {
        let larger = UnsafeMutablePointer<Entry>.allocate(capacity: capacity * 2)
        larger.moveInitialize(from: entries, count: count)
        entries.deallocate()
        entries = larger
        capacity *= 2
    }

    /// Puts `entry` where it belongs, from a free place upwards.
    @inline(__always)
    private func siftUp(from start: Int, _ entry: Entry) {
        var index = start
        while index > 0 {
            let parent = (index &- 1) / 4
            guard entry < entries[parent] else { break }
            entries[index] = entries[parent]
            index = parent
        }
        entries[index] = entry
    }

    /// Puts `entry` where it belongs, from a free place downwards.
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
