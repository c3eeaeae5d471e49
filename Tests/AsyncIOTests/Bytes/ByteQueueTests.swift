import Testing

@testable import AsyncIO

struct ByteQueueTests {
    /// Compares the queue with an array, and checks that copies do not change.
    @Test(arguments: 1...10)
    func bytesAreConsumedInTheOrderOfAppending(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var queue = ByteQueue(limitBytes: 50_000)
        var model: [UInt8] = []
        var copies: [(queue: ByteQueue, model: [UInt8])] = []
        for _ in 0..<rounds(debug: 300, full: 3_000) {
            switch Int.random(in: 0..<6, using: &random) {
            case 0, 1:
                let most = Bool.random(using: &random) ? 40 : 5_000
                let bytes = (0..<Int.random(in: 0...most, using: &random)).map { _ in
                    UInt8.random(in: 0...3, using: &random)
                }
                if model.count + bytes.count > 50_000 {
                    #expect(throws: LimitOverrunError.self) { try queue.append(bytes) }
                } else {
                    try queue.append(bytes)
                    model += bytes
                }
            case 2:
                let count = Int.random(in: 0...model.count, using: &random)
                queue.consume(count)
                model.removeFirst(count)
            case 3:
                let count = Int.random(in: 0...model.count, using: &random)
                #expect(queue.take(count) == Array(model.prefix(count)))
                model.removeFirst(count)
            case 4:
                let offset = Int.random(in: 0...model.count, using: &random)
                #expect(queue.firstOffset(of: 2, from: offset) == model[offset...].firstIndex(of: 2))
                let found = model.indices.first {
                    $0 >= offset && model[$0...].starts(with: [1, 2, 3] as [UInt8])
                }
                #expect(queue.firstOffset(of: [1, 2, 3], from: offset) == found)
            default:
                copies = copies.suffix(3) + [(queue, model)]
            }
            try #require(queue.count == model.count && queue.isEmpty == model.isEmpty)
            if let last = model.last { #expect(queue[model.count - 1] == last) }
            for copy in copies { #expect(Array(copy.queue.bytes) == copy.model) }
        }
        #expect(queue.withBytes { Array($0) } == model)
    }

    @Test func appendRejectsBytesBeyondTheLimit() throws {
        var queue = ByteQueue(limitBytes: 10)
        try queue.append("12345678")
        #expect(throws: LimitOverrunError.self) { try queue.append("abc") }
        #expect(queue.count == 8)
        try queue.append([1, 2])
        #expect(throws: LimitOverrunError.self) { try queue.append([3]) }
        queue.consume(10)
        try queue.append("0123456789")
        var message = ""
        do { try queue.append("x") } catch { message = "\(error)" }
        #expect(message.contains("exceed the limit of 10 bytes"))
    }

    @Test func emptyQueueReleasesLargeMemory() throws {
        var queue = ByteQueue()
        #expect(queue.memoryBytes == 0)
        try queue.append("small")
        #expect(queue.memoryBytes == ByteQueue.smallestBytes)
        queue.consume(5)
        // The memory is reused for the next message.
        #expect(queue.memoryBytes == ByteQueue.smallestBytes)
        try queue.append([UInt8](repeating: 1, count: 100_000))
        queue.consume(100_000)
        #expect(queue.memoryBytes == 0)
        try queue.append("small")
        queue.removeAll()
        #expect(queue.memoryBytes == 0 && queue.isEmpty)
    }

    /// The memory of a queue that never becomes empty does not grow with the bytes that pass through it.
    @Test func consumingSmallPiecesDoesNotGrowTheMemory() throws {
        var queue = ByteQueue()
        try queue.append([UInt8](repeating: 0, count: 900))
        for round in 0..<10_000 {
            try queue.append([UInt8](repeating: UInt8(truncatingIfNeeded: round), count: 50))
            queue.consume(50)
        }
        #expect(queue.memoryBytes <= 2_048)
        #expect(queue[0] == UInt8(truncatingIfNeeded: 10_000 - 18))
    }

    @Test func emptyPatternIsFoundAtTheStartOfTheSearch() throws {
        var queue = ByteQueue()
        #expect(queue.firstOffset(of: []) == 0)
        #expect(queue.firstOffset(of: 1) == nil)
        try queue.append("abcabc")
        #expect(queue.firstOffset(of: Array("bc".utf8)) == 1)
        #expect(queue.firstOffset(of: Array("bc".utf8), from: 2) == 4)
        #expect(queue.firstOffset(of: Array("bc".utf8), from: 5) == nil)
        #expect(queue.firstOffset(of: [], from: 6) == 6)
    }

    /// For patterns of any length, at any offset, and with many partial matches.
    @Test(arguments: 1...8)
    func searchFindsTheFirstMatch(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        for _ in 0..<rounds(debug: 100, full: 1_000) {
            let letters = UInt8.random(in: 0...2, using: &random)
            let length = Int.random(in: 0...200, using: &random)
            let bytes = (0..<length).map { _ in UInt8.random(in: 0...letters, using: &random) }
            let patternLength = Int.random(in: 1...20, using: &random)
            let pattern = (0..<patternLength).map { _ in UInt8.random(in: 0...letters, using: &random) }
            var queue = ByteQueue()
            try queue.append(bytes)
            #expect(queue.firstOffset(of: pattern) == bytes.indices.first { bytes[$0...].starts(with: pattern) })
        }
    }

    /// Bytes with a partial match at every offset: a search that compares the pattern at each offset would take a
    /// thousand million steps.
    @Test func searchTakesLinearTime() throws {
        var queue = ByteQueue(limitBytes: 2 << 20)
        try queue.append([UInt8](repeating: 0, count: 1 << 20))
        let almost = [0] + [UInt8](repeating: 0, count: 499) + [1] + [UInt8](repeating: 0, count: 500)
        #expect(queue.firstOffset(of: almost) == nil)
        try queue.append(almost)
        #expect(queue.firstOffset(of: almost) == 1 << 20)
    }

    @Test func arrayCopiesARawSpan() {
        let bytes: [UInt8] = [1, 2, 3]
        #expect([UInt8](bytes.span.bytes) == bytes)
        #expect(Array(bytes.span.bytes.extracting(1..<3)) == [2, 3])
        #expect(Array(RawSpan()) == [])
    }
}
