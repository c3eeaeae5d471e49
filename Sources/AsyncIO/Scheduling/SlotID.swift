import Synchronization

/// Names an entry of a ``Slab``: its place, and how often the place was used before.
///
/// A name that outlived its entry finds another generation there and so finds nothing. 61 bits, so that a name fits
/// into a ``LoopWord``.
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

/// An optional name that one thread changes and other threads read.
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

/// An optional name in eight bytes, where a plain optional takes nine and is stored in sixteen.
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
