/// Names an entry of a ``Slab``: its place, and how often the place was used before.
///
/// A name that outlived its entry finds another generation there and so finds nothing. 61 bits, so that a name fits
/// into a ``LoopWord``.
package struct SlotName: Hashable, Sendable {
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
