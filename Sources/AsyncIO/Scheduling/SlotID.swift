/// Identifies an entry of a ``Slab``: the index of its slot, and how often the slot was used before (its generation),
/// so that a lookup of a removed entry, which is stale, finds nothing. 61 bits, so that it fits into a ``LoopWord``.
package struct SlotID: Hashable, Sendable {
    static let generationLimit: UInt32 = 1 << 29
    static let stale = SlotID(slot: .max, generation: 0)

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
