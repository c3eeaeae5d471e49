import Testing

@testable import AsyncIO

struct WriteQueueTests {
    // covers: 142
    @Test func writeQueueKeepsTheOrderOfBytes() {
        var queue = WriteQueue()
        #expect(queue.isEmpty == true)
        queue.append([1, 2, 3])
        queue.append([])
        queue.append([4, 5])
        #expect(queue.count == 5)
        queue.removeFirst(2)
        #expect(Array(queue.bytes) == [3, 4, 5])
        queue.removeFirst(3)
        #expect(queue.isEmpty == true)
        #expect(queue.bytes.count == 0)
    }

    @Test func emptyWriteQueueOwnsNoMemory() {
        var queue = WriteQueue()
        #expect(queue.bytes.baseAddress == nil)
        queue.append([1])
        queue.removeFirst(1)
        #expect(queue.bytes.baseAddress == nil)
        queue.append([2])
        queue.removeAll()
        #expect(queue.bytes.baseAddress == nil)
    }

    /// Compares appends and removals of many sizes with an array.
    // covers: 142
    @Test(arguments: [1, 2, 3]) func writeQueueLosesNoByteWhenItGrowsOrMoves(seed: UInt64) {
        var random = seed
        func next(_ bound: Int) -> Int {
            random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(random >> 33) % bound
        }
        var queue = WriteQueue()
        var model: [UInt8] = []
        for _ in 0..<2_000 {
            let added = (0..<next(700)).map { _ in UInt8(next(256)) }
            queue.append(added)
            model += added
            let removed = min(model.count, next(720))
            queue.removeFirst(removed)
            model.removeFirst(removed)
            #expect(queue.count == model.count)
        }
        #expect(Array(queue.bytes) == model)
    }
}

extension WriteQueue {
    fileprivate mutating func append(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { append($0) }
    }
}
