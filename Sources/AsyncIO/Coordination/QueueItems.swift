/// The items of a queue, in the order in which they are taken.
@usableFromInline struct QueueItems<Element>: ~Copyable {
    @usableFromInline enum Order {
        case firstIn, lastIn
        /// Whether the first element is taken before the second one.
        case sorted((Element, Element) -> Bool)
    }

    /// An item of a sorted queue. The number makes the order of equal items that in which they were added.
    @usableFromInline struct Numbered {
        @usableFromInline let element: Element
        @usableFromInline let number: UInt64
    }

    @usableFromInline let order: Order
    @usableFromInline var ring = RingBuffer<Element>()
    /// A binary heap, instead of the ring, for a sorted queue.
    @usableFromInline var heap: [Numbered] = []
    @usableFromInline var nextNumber: UInt64 = 0

    init(order: Order) { self.order = order }

    @inlinable @inline(__always) mutating func add(_ element: consuming Element) {
        if case .sorted(let isBefore) = order {
            addToHeap(element, isBefore)
        } else {
            ring.append(element)
        }
    }

    /// There must be an item.
    @inlinable @inline(__always) mutating func take() -> Element {
        switch order {
        case .firstIn: ring.popFirst()!
        case .lastIn: ring.popLast()!
        case .sorted(let isBefore): takeFromHeap(isBefore)
        }
    }

    @usableFromInline mutating func addToHeap(_ element: Element, _ isBefore: (Element, Element) -> Bool) {
        var index = heap.count
        heap.append(Numbered(element: element, number: nextNumber))
        nextNumber &+= 1
        while index > 0 {
            let parent = (index - 1) / 2
            if !precedes(index, parent, isBefore) { return }
            heap.swapAt(index, parent)
            index = parent
        }
    }

    @usableFromInline mutating func takeFromHeap(_ isBefore: (Element, Element) -> Bool) -> Element {
        heap.swapAt(0, heap.count - 1)
        let first = heap.removeLast()
        var index = 0
        while true {
            var least = index
            for child in [2 * index + 1, 2 * index + 2] where child < heap.count && precedes(child, least, isBefore) {
                least = child
            }
            if least == index { return first.element }
            heap.swapAt(index, least)
            index = least
        }
    }

    private func precedes(_ index: Int, _ other: Int, _ isBefore: (Element, Element) -> Bool) -> Bool {
        let (item, other) = (heap[index], heap[other])
        if isBefore(item.element, other.element) { return true }
        return !isBefore(other.element, item.element) && item.number < other.number
    }
}
