/// The timers that wait for their time: a heap with four children per node, ordered by deadline and then by creation.
///
/// Four children halve the depth of two, and the children of a node share a cache line or two. A cancelled timer's callback
/// is freed at once, while its entry stays until it is due or until half of the heap is such entries. asyncio: `_scheduled`.
struct TimerHeap: ~Copyable {
    struct Entry {
        var deadline: Int64
        var sequence: UInt64
        var name: SlotName

        @inline(__always)
        static func < (lhs: Entry, rhs: Entry) -> Bool {
            lhs.deadline != rhs.deadline ? lhs.deadline < rhs.deadline : lhs.sequence < rhs.sequence
        }
    }

    /// asyncio's `_MIN_SCHEDULED_TIMER_HANDLES`: smaller heaps are not worth a rebuild.
    private static let smallestCompacted = 100

    private var entries: [Entry] = []
    private var nextSequence: UInt64 = 0
    /// Entries whose timer was cancelled.
    private var dead = 0

    /// Entries, dead ones included.
    var count: Int { entries.count }

    @inline(__always)
    var hasDeadEntries: Bool { dead > 0 }

    /// The next entry, dead or alive.
    var first: Entry? { entries.first }

    mutating func insert(deadline: LoopInstant, name: SlotName) {
        let entry = Entry(deadline: deadline.nanoseconds, sequence: nextSequence, name: name)
        nextSequence += 1
        entries.append(entry)
        siftUp(from: entries.count - 1, entry)
    }

    mutating func removeFirst() {
        let last = entries.removeLast()
        if !entries.isEmpty { siftDown(from: 0, last) }
    }

    /// The first entry was found dead and removed.
    mutating func buriedFirst() {
        dead -= 1
    }

    /// A timer was cancelled whose entry is still here. Rebuilds the heap when most of it is dead.
    mutating func cancelled(isAlive: (SlotName) -> Bool) {
        dead += 1
        guard entries.count > Self.smallestCompacted, dead * 2 > entries.count else { return }
        entries.removeAll { !isAlive($0.name) }
        dead = 0
        guard entries.count > 1 else { return }
        for index in stride(from: (entries.count - 2) / 4, through: 0, by: -1) { siftDown(from: index, entries[index]) }
    }

    mutating func removeAll() {
        entries = []
        dead = 0
    }

    private mutating func siftUp(from start: Int, _ entry: Entry) {
        entries.withUnsafeMutableBufferPointer { heap in
            var index = start
            while index > 0 {
                let parent = (index - 1) / 4
                guard entry < heap[parent] else { break }
                heap[index] = heap[parent]
                index = parent
            }
            heap[index] = entry
        }
    }

    private mutating func siftDown(from start: Int, _ entry: Entry) {
        entries.withUnsafeMutableBufferPointer { heap in
            var index = start
            while true {
                let firstChild = index * 4 + 1
                guard firstChild < heap.count else { break }
                var smallest = firstChild
                for child in (firstChild + 1)..<max(firstChild + 1, min(firstChild + 4, heap.count))
                where heap[child] < heap[smallest] {
                    smallest = child
                }
                guard heap[smallest] < entry else { break }
                heap[index] = heap[smallest]
                index = smallest
            }
            heap[index] = entry
        }
    }
}
