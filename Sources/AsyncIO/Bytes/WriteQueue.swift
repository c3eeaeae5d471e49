/// A queue of bytes that wait to be sent. Its memory exists only while bytes wait, so an idle connection owns none. It
/// has no limit, because the transport pauses its writer at the high-water mark.
struct WriteQueue: ~Copyable {
    private static let smallestBytes = 4096

    private struct Header {
        var head = 0
        var tail = 0
        var capacity: Int
    }

    /// `nil` while no bytes wait. One word, because every connection has a queue.
    private var memory: UnsafeMutablePointer<Header>?

    deinit { memory?.deallocate() }

    var count: Int {
        guard let header = memory?.pointee else { return 0 }
        return header.tail - header.head
    }

    var isEmpty: Bool {
        @inline(__always) get { memory == nil }
    }

    /// The bytes in order. Valid until the next change.
    var bytes: UnsafeRawBufferPointer {
        guard let memory else { return UnsafeRawBufferPointer(start: nil, count: 0) }
        return UnsafeRawBufferPointer(start: Self.base(memory) + memory.pointee.head, count: count)
    }

    /// Makes room for bytes that are appended next.
    mutating func reserve(_ additional: Int) { if additional > 0 { _ = makeRoom(for: additional) } }

    mutating func append(_ bytes: UnsafeRawBufferPointer) {
        guard let first = bytes.baseAddress, !bytes.isEmpty else { return }
        extend(by: bytes.count).copyMemory(from: first, byteCount: bytes.count)
    }

    /// Appends bytes that the caller must set, at the returned place, which is valid until the next change.
    @inline(__always) mutating func extend(by count: Int) -> UnsafeMutableRawPointer {
        let memory = makeRoom(for: count)
        defer { memory.pointee.tail += count }
        return Self.base(memory) + memory.pointee.tail
    }

    mutating func removeFirst(_ count: Int) {
        guard let memory else { return }
        memory.pointee.head += count
        if memory.pointee.head == memory.pointee.tail { removeAll() }
    }

    mutating func removeAll() {
        memory?.deallocate()
        memory = nil
    }

    /// Returns the memory with room behind the bytes. If the bytes have to move, they move to the front of the same
    /// memory if half of it is free, or else to larger memory: so each byte moves a bounded number of times on average.
    private mutating func makeRoom(for additional: Int) -> UnsafeMutablePointer<Header> {
        let count = self.count
        if let memory {
            if memory.pointee.capacity - memory.pointee.tail >= additional { return memory }
            if count + additional <= memory.pointee.capacity / 2 {
                Self.base(memory).copyMemory(from: Self.base(memory) + memory.pointee.head, byteCount: count)
                memory.pointee.head = 0
                memory.pointee.tail = count
                return memory
            }
        }
        let larger = Self.allocate(max(Self.smallestBytes, (count + additional).roundedUpToPowerOfTwo))
        if let memory {
            Self.base(larger).copyMemory(from: Self.base(memory) + memory.pointee.head, byteCount: count)
            memory.deallocate()
        }
        larger.pointee.tail = count
        memory = larger
        return larger
    }

    private static func allocate(_ capacity: Int) -> UnsafeMutablePointer<Header> {
        let memory = UnsafeMutableRawPointer.allocate(
            byteCount: MemoryLayout<Header>.stride + capacity, alignment: MemoryLayout<Header>.alignment)
        return memory.initializeMemory(as: Header.self, to: Header(capacity: capacity))
    }

    private static func base(_ memory: UnsafeMutablePointer<Header>) -> UnsafeMutableRawPointer {
        UnsafeMutableRawPointer(memory + 1)
    }
}
