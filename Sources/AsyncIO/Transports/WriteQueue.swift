/// Bytes that wait to be sent, in one piece of memory.
///
/// It exists only while something waits: an idle connection owns none. Its size is bounded by the water marks that the
/// transport tells its writer.
struct WriteQueue: ~Copyable {
    private static let smallestBytes = 4096

    private var head = 0
    private var tail = 0
    private var memory = UnsafeMutableRawBufferPointer(start: nil, count: 0)

    deinit {
        memory.deallocate()
    }

    var count: Int { tail - head }

    var isEmpty: Bool { tail == head }

    /// The bytes, first one first. Valid until the next change.
    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: memory[head..<tail]) }

    /// Makes room for so many bytes, for appends that follow.
    mutating func reserve(_ additional: Int) {
        if additional > 0, memory.count - tail < additional { makeRoom(for: additional) }
    }

    mutating func append(_ bytes: UnsafeRawBufferPointer) {
        if bytes.isEmpty { return }
        if memory.count - tail < bytes.count { makeRoom(for: bytes.count) }
        UnsafeMutableRawBufferPointer(rebasing: memory[tail...]).copyMemory(from: bytes)
        tail += bytes.count
    }

    mutating func removeFirst(_ count: Int) {
        head += count
        if head == tail { removeAll() }
    }

    /// Frees the memory too.
    mutating func removeAll() {
        memory.deallocate()
        memory = UnsafeMutableRawBufferPointer(start: nil, count: 0)
        head = 0
        tail = 0
    }

    /// Moves the bytes to the front, into larger memory unless half of this one is free: each byte moves a bounded
    /// number of times on average.
    private mutating func makeRoom(for additional: Int) {
        let count = self.count
        if count + additional <= memory.count / 2 {
            memory.copyMemory(from: bytes)
        } else {
            let larger = UnsafeMutableRawBufferPointer.allocate(
                byteCount: max(Self.smallestBytes, (count + additional).nextPowerOfTwo), alignment: 16)
            larger.copyMemory(from: bytes)
            memory.deallocate()
            memory = larger
        }
        head = 0
        tail = count
    }
}

extension Int {
    /// The smallest power of two that is not less than this positive number.
    fileprivate var nextPowerOfTwo: Int { 1 << (bitWidth - (self - 1).leadingZeroBitCount) }
}
