/// A growing array of places for `Element`, with constant-time insert and remove and without allocation in between.
///
/// Freed places are reused last in, first out, since those are still in the cache.
struct Slab<Element>: ~Copyable {
    private struct Entry {
        var generation: UInt32
        var nextFree: UInt32
        var element: Element?
    }

    private static var none: UInt32 { .max }

    private var entries: UnsafeMutablePointer<Entry>
    private var capacity: Int
    /// Places from here on were never used.
    private var untouched = 0
    private var firstFree = Self.none
    private(set) var count = 0

    init(capacity: Int = 16) {
        self.capacity = capacity
        entries = .allocate(capacity: capacity)
    }

    deinit {
        entries.deinitialize(count: untouched)
        entries.deallocate()
    }

    mutating func insert(_ element: consuming Element) -> SlotName {
        count += 1
        if firstFree != Self.none {
            let slot = firstFree
            let entry = entries + Int(slot)
            firstFree = entry.pointee.nextFree
            entry.pointee.element = element
            return SlotName(slot: slot, generation: entry.pointee.generation)
        }
        if untouched == capacity { grow() }
        let slot = UInt32(untouched)
        (entries + untouched).initialize(to: Entry(generation: 0, nextFree: Self.none, element: element))
        untouched += 1
        return SlotName(slot: slot, generation: 0)
    }

    /// Takes the element out; `nil` for a stale name.
    mutating func remove(_ name: SlotName) -> Element? {
        guard let entry = entry(name) else { return nil }
        let element = entry.pointee.element.take()
        entry.pointee.generation = (entry.pointee.generation + 1) % SlotName.generationLimit
        entry.pointee.nextFree = firstFree
        firstFree = name.slot
        count -= 1
        return element
    }

    func contains(_ name: SlotName) -> Bool {
        entry(name) != nil
    }

    /// The element itself, to be used before the next insertion; `nil` for a stale name.
    subscript(name: SlotName) -> UnsafeMutablePointer<Element>? {
        guard let entry = entry(name) else { return nil }
        // SAFETY: the entry is in use, so the optional has a payload, which lies at the optional's own address.
        return UnsafeMutableRawPointer(entry).advanced(by: MemoryLayout<Entry>.offset(of: \.element)!)
            .assumingMemoryBound(to: Element.self)
    }

    /// As the subscript, without retaining an object.
    @inline(__always)
    func unretained(_ name: SlotName) -> Unmanaged<Element>? where Element: AnyObject {
        guard let entry = entry(name) else { return nil }
        // SAFETY: as above; a reference has the form of an unmanaged one.
        return UnsafeRawPointer(entry).advanced(by: MemoryLayout<Entry>.offset(of: \.element)!)
            .load(as: Unmanaged<Element>.self)
    }

    /// The names of all elements, in no order.
    var names: [SlotName] {
        (0..<untouched).compactMap { slot in
            let entry = entries[slot]
            return entry.element == nil ? nil : SlotName(slot: UInt32(slot), generation: entry.generation)
        }
    }

    @inline(__always)
    private func entry(_ name: SlotName) -> UnsafeMutablePointer<Entry>? {
        guard Int(name.slot) < untouched else { return nil }
        let entry = entries + Int(name.slot)
        guard entry.pointee.generation == name.generation, entry.pointee.element != nil else { return nil }
        return entry
    }

    private mutating func grow() {
        let larger = UnsafeMutablePointer<Entry>.allocate(capacity: capacity * 2)
        larger.moveInitialize(from: entries, count: untouched)
        entries.deallocate()
        entries = larger
        capacity *= 2
    }
}
