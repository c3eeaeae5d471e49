/// A growing array of slots for `Element`. Inserting and removing take constant time; only growing allocates. The last
/// freed slot is reused first, because it is still in the cache.
struct Slab<Element>: ~Copyable {
    /// Precedes each element. An optional element would do too, but the compiler calls the runtime for its copies.
    private struct Header {
        var generation: UInt32
        /// The next free slot, `none`, or `used`.
        var nextFree: UInt32
    }

    private static var none: UInt32 { .max }
    private static var used: UInt32 { .max - 1 }
    private static var offset: Int { max(MemoryLayout<Header>.size, MemoryLayout<Element>.alignment) }
    private static var stride: Int {
        let alignment = max(MemoryLayout<Header>.alignment, MemoryLayout<Element>.alignment)
        return (offset + MemoryLayout<Element>.size + alignment - 1) / alignment * alignment
    }

    private var memory: UnsafeMutableRawPointer
    private var capacity: Int
    /// Slots from this index on were never used.
    private var untouched = 0
    private var firstFree = Self.none
    private(set) var count = 0

    init(capacity: Int = 16) {
        self.capacity = capacity
        memory = Self.allocate(capacity)
    }

    deinit {
        for slot in 0..<untouched where header(slot).pointee.nextFree == Self.used {
            element(slot).deinitialize(count: 1)
        }
        memory.deallocate()
    }

    mutating func insert(_ element: consuming Element) -> SlotID {
        count &+= 1
        if firstFree == Self.none { addFreeSlot() }
        let slot = firstFree
        let header = header(Int(slot))
        firstFree = header.pointee.nextFree
        header.pointee.nextFree = Self.used
        self.element(Int(slot)).initialize(to: element)
        return SlotID(slot: slot, generation: header.pointee.generation)
    }

    /// `nil` for a stale identifier.
    mutating func remove(_ id: SlotID) -> Element? { contains(id) ? take(id) : nil }

    @inline(__always) mutating func take(_ id: SlotID) -> Element {
        let element = element(Int(id.slot)).move()
        let header = header(Int(id.slot))
        header.pointee.generation = (header.pointee.generation &+ 1) & (SlotID.generationLimit - 1)
        header.pointee.nextFree = firstFree
        firstFree = id.slot
        count &-= 1
        return element
    }

    @inline(__always) func contains(_ id: SlotID) -> Bool {
        guard Int(id.slot) < untouched else { return false }
        let header = header(Int(id.slot)).pointee
        return header.generation == id.generation && header.nextFree == Self.used
    }

    /// Valid until the next insertion; `nil` for a stale identifier.
    @inline(__always) subscript(id: SlotID) -> UnsafeMutablePointer<Element>? {
        contains(id) ? element(Int(id.slot)) : nil
    }

    /// As the subscript, for an object, which is not retained.
    @inline(__always)
    func unretained(_ id: SlotID) -> Unmanaged<Element>? where Element: AnyObject {
        guard let element = self[id] else { return nil }
        // SAFETY: a reference has the form of an unmanaged one.
        return UnsafeRawPointer(element).load(as: Unmanaged<Element>.self)
    }

    /// In no particular order.
    var ids: [SlotID] {
        (0..<untouched).compactMap { slot in
            let header = header(slot).pointee
            return header.nextFree == Self.used ? SlotID(slot: UInt32(slot), generation: header.generation) : nil
        }
    }

    // SAFETY: `slot` is below `untouched` or being added, so its header is initialized. Its element is initialized
    // while the slot is in use.
    @inline(__always) private func header(_ slot: Int) -> UnsafeMutablePointer<Header> {
        (memory + slot &* Self.stride).assumingMemoryBound(to: Header.self)
    }

    @inline(__always) private func element(_ slot: Int) -> UnsafeMutablePointer<Element> {
        (memory + slot &* Self.stride + Self.offset).assumingMemoryBound(to: Element.self)
    }

    @inline(never) private mutating func addFreeSlot() {
        if untouched == capacity { grow() }
        header(untouched).initialize(to: Header(generation: 0, nextFree: Self.none))
        firstFree = UInt32(untouched)
        untouched += 1
    }

    private mutating func grow() {
        let former = memory
        memory = Self.allocate(capacity * 2)
        for slot in 0..<untouched {
            let entry = former + slot * Self.stride
            let formerHeader = entry.assumingMemoryBound(to: Header.self).pointee
            header(slot).initialize(to: formerHeader)
            if formerHeader.nextFree != Self.used { continue }
            element(slot).moveInitialize(from: (entry + Self.offset).assumingMemoryBound(to: Element.self), count: 1)
        }
        former.deallocate()
        capacity *= 2
    }

    private static func allocate(_ capacity: Int) -> UnsafeMutableRawPointer {
        .allocate(byteCount: capacity * stride, alignment: 64)
    }
}
