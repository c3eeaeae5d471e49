/// A queue with two ends, in a ring. It has no memory before the first element, and allocates only when it grows.
@usableFromInline struct RingBuffer<Element>: ~Copyable {
    // SAFETY: the elements of `count` slots from `head` on are initialized. The capacity is zero or a power of two.
    @usableFromInline var memory: UnsafeMutablePointer<Element>?
    @usableFromInline var capacity = 0
    @usableFromInline var head = 0
    @usableFromInline var count = 0

    @inlinable init() {}

    @inlinable
    deinit {
        for offset in 0..<count { (slot(offset)).deinitialize(count: 1) }
        memory?.deallocate()
    }

    @inlinable @inline(__always) var isEmpty: Bool { count == 0 }

    /// The element must exist.
    @inlinable @inline(__always) subscript(offset: Int) -> Element { slot(offset).pointee }

    @inlinable @inline(__always)
    func slot(_ offset: Int) -> UnsafeMutablePointer<Element> {
        memory.unsafelyUnwrapped + ((head &+ offset) & (capacity &- 1))
    }

    @inlinable mutating func append(_ element: consuming Element) {
        if count == capacity { grow() }
        slot(count).initialize(to: element)
        count &+= 1
    }

    @inlinable mutating func popFirst() -> Element? {
        if count == 0 { return nil }
        let element = slot(0).move()
        head = (head &+ 1) & (capacity &- 1)
        count &-= 1
        return element
    }

    @inlinable mutating func popLast() -> Element? {
        if count == 0 { return nil }
        count &-= 1
        return slot(count).move()
    }

    /// Retains the elements for which `isKept` is true, in order. It must not change the ring.
    mutating func filter(_ isKept: (Element) -> Bool) {
        let former = count
        var kept = 0
        for offset in 0..<former {
            let element = slot(offset).move()
            if !isKept(element) { continue }
            slot(kept).initialize(to: element)
            kept += 1
        }
        count = kept
    }

    @usableFromInline @inline(never) mutating func grow() {
        let larger = UnsafeMutablePointer<Element>.allocate(capacity: max(8, capacity * 2))
        for offset in 0..<count { (larger + offset).moveInitialize(from: slot(offset), count: 1) }
        memory?.deallocate()
        memory = larger
        capacity = max(8, capacity * 2)
        head = 0
    }
}
