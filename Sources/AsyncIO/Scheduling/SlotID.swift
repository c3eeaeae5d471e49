import Synchronization

/// Identifies an entry of a ``Slab``: the index of its slot, and how often the slot was used before (its generation).
///
/// An identifier whose entry was removed is stale: the slot has another generation, so that a lookup finds nothing.
/// 61 bits, so that an identifier fits into a ``LoopWord``.
package struct SlotID: Hashable, Sendable {
    static let generationLimit: UInt32 = 1 << 29

    let slot: UInt32
    let generation: UInt32

    init(slot: UInt32, generation: UInt32) {
        self.slot = slot
        self.generation = generation
    }

    package init(bits: UInt64) {
        slot = UInt32(truncatingIfNeeded: bits)
        generation = UInt32(truncatingIfNeeded: bits >> 32) & (Self.generationLimit - 1)
    }

    package var bits: UInt64 { UInt64(generation) << 32 | UInt64(slot) }
}

/// An optional identifier that one thread changes and other threads read.
struct AtomicSlotID: ~Copyable {
    private let bits = Atomic<UInt64>(.max)

    @inline(__always)
    func load() -> SlotID? {
        StoredSlotID(bits: bits.load(ordering: .relaxed)).id
    }

    @inline(__always)
    func store(_ id: SlotID?) {
        bits.store(StoredSlotID(id).bits, ordering: .relaxed)
    }
}

/// An optional identifier in eight bytes. An `Optional` has a size of nine bytes and a stride of sixteen.
struct StoredSlotID {
    fileprivate var bits: UInt64 = .max

    @inline(__always)
    init(_ id: SlotID? = nil) {
        self.id = id
    }

    @inline(__always)
    fileprivate init(bits: UInt64) {
        self.bits = bits
    }

    var id: SlotID? {
        @inline(__always)
        get { bits == .max ? nil : SlotID(bits: bits) }
        @inline(__always)
        set { bits = newValue?.bits ?? .max }
    }
}
