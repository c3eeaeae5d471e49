/// A first-in, first-out queue of words, in a ring that allocates only when it grows.
struct ReadyQueue: ~Copyable {
    private var words: UnsafeMutablePointer<UInt>
    private var mask: Int
    private var head = 0
    private var tail = 0

    /// - Parameter capacity: A power of two.
    init(capacity: Int = 256) {
        words = .allocate(capacity: capacity)
        mask = capacity - 1
    }

    deinit { words.deallocate() }

    @inline(__always) var count: Int { tail &- head }

    @inline(__always) var isEmpty: Bool { tail == head }

    @inline(__always) mutating func push(_ word: LoopWord) {
        if tail &- head > mask { grow() }
        words[tail & mask] = word.bits
        tail &+= 1
    }

    /// The queue must not be empty.
    @inline(__always) mutating func pop() -> LoopWord {
        let bits = words[head & mask]
        head &+= 1
        return LoopWord(bits: bits)
    }

    private mutating func grow() {
        let larger = UnsafeMutablePointer<UInt>.allocate(capacity: (mask + 1) * 2)
        let count = self.count
        for index in 0..<count { larger[index] = words[(head &+ index) & mask] }
        words.deallocate()
        words = larger
        mask = mask * 2 + 1
        head = 0
        tail = count
    }
}
