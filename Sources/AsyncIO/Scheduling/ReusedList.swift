/// A list that is emptied in each iteration. It retains its memory, and no change asks whether the memory is shared, as
/// a change of an array does.
struct ReusedList<Element: BitwiseCopyable>: ~Copyable {
    private var memory: UnsafeMutablePointer<Element>
    private var capacity: Int
    private(set) var count = 0

    init(capacity: Int = 16) {
        self.capacity = capacity
        memory = .allocate(capacity: capacity)
    }

    deinit { memory.deallocate() }

    @inline(__always) var isEmpty: Bool { count == 0 }

    /// Valid until the next change.
    @inline(__always) var elements: UnsafeBufferPointer<Element> { UnsafeBufferPointer(start: memory, count: count) }

    @inline(__always) mutating func append(_ element: Element) {
        if count == capacity { grow() }
        (memory + count).initialize(to: element)
        count &+= 1
    }

    @inline(__always) mutating func removeAll() { count = 0 }

    @inline(never) private mutating func grow() {
        let grown = UnsafeMutablePointer<Element>.allocate(capacity: 2 * capacity)
        grown.moveInitialize(from: memory, count: count)
        memory.deallocate()
        memory = grown
        capacity *= 2
    }
}
