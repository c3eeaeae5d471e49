/// The records of the tasks that a loop started and that have not ended, by the address of the task: a hash table with
/// open addressing. It does not retain them; the tasks do. Every wait looks up its task's record, and a dictionary
/// costs ten times as much.
struct TaskTable: ~Copyable {
    private struct Slot {
        /// 0 if the slot is free.
        var key: UInt
        var record: Unmanaged<TaskRecord>?
    }

    private static var free: Slot { Slot(key: 0, record: nil) }

    // SAFETY: all slots are initialized; they are trivial.
    private var slots: UnsafeMutablePointer<Slot>
    private var mask: Int
    private(set) var count = 0

    /// - Parameter capacity: A power of two.
    init(capacity: Int = 64) {
        slots = .allocate(capacity: capacity)
        slots.initialize(repeating: Self.free, count: capacity)
        mask = capacity - 1
    }

    deinit { slots.deallocate() }

    @inline(__always)
    subscript(identity: TaskIdentity) -> TaskRecord? { unretained(identity)?.takeUnretainedValue() }

    /// Not retained: the record lives at least as long as its task.
    @inline(__always) func unretained(_ identity: TaskIdentity) -> Unmanaged<TaskRecord>? {
        var index = place(identity.address)
        while true {
            let slot = slots[index]
            // Outside of tasks the key is 0, which finds a free slot.
            if slot.key == identity.address || slot.key == 0 { return slot.record }
            index = (index &+ 1) & mask
        }
    }

    /// In the order of their tasks' creation.
    var records: [TaskRecord] {
        (0...mask).compactMap { slots[$0].record?.takeUnretainedValue() }.sorted { $0.id < $1.id }
    }

    /// The number of tasks that wait in an operation of the loop.
    var waitingCount: Int {
        var count = 0
        for index in 0...mask where slots[index].record?._withUnsafeGuaranteedRef({ !$0.suspension.isEmpty }) == true {
            count += 1
        }
        return count
    }

    mutating func insert(_ record: TaskRecord, _ identity: TaskIdentity) {
        // The table is at most three quarters full, so that searches are short and end at a free slot.
        if (count &+ 1) &* 4 > (mask &+ 1) &* 3 { grow() }
        count &+= 1
        add(Slot(key: identity.address, record: Unmanaged.passUnretained(record)))
    }

    mutating func remove(_ identity: TaskIdentity) {
        var hole = place(identity.address)
        while slots[hole].key != identity.address {
            if slots[hole].key == 0 { return }
            hole = (hole &+ 1) & mask
        }
        count &-= 1
        // Entries that were displaced past the hole move up, so that no search ends too early.
        var index = hole
        while true {
            index = (index &+ 1) & mask
            let slot = slots[index]
            if slot.key == 0 { break }
            let distance = (index &- place(slot.key)) & mask
            if distance >= (index &- hole) & mask {
                slots[hole] = slot
                hole = index
            }
        }
        slots[hole] = Self.free
    }

    /// The first index to search. Tasks are aligned to 16 bytes; the multiplication spreads the other bits.
    @inline(__always) private func place(_ key: UInt) -> Int {
        Int(truncatingIfNeeded: ((key >> 4) &* 0x9E37_79B9_7F4A_7C15) >> 32) & mask
    }

    private func add(_ slot: Slot) {
        var index = place(slot.key)
        while slots[index].key != 0 { index = (index &+ 1) & mask }
        slots[index] = slot
    }

    @inline(never) private mutating func grow() {
        let (former, formerCount) = (slots, mask + 1)
        slots = .allocate(capacity: formerCount * 2)
        slots.initialize(repeating: Self.free, count: formerCount * 2)
        mask = formerCount * 2 - 1
        for index in 0..<formerCount where former[index].key != 0 { add(former[index]) }
        former.deallocate()
    }
}
