import Testing

@testable import AsyncIO

struct LookAheadTests {
    /// Compares the look-ahead with an array that does the same in the simplest way.
    // covers: 300
    @Test(arguments: 1...10)
    func bytesComeOutInTheOrderOfInsertion(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let lookAhead = LookAhead()
        var model: [UInt8] = []
        // Few different bytes, so that separators occur, and also begin where they do not occur.
        func bytes(_ most: Int) -> [UInt8] {
            (0..<Int.random(in: 0...most, using: &random)).map { _ in UInt8.random(in: 0...3, using: &random) }
        }
        for _ in 0..<rounds(debug: 300, full: 3_000) {
            switch Int.random(in: 0..<8, using: &random) {
            case 0, 1, 2:
                let arrived = bytes(Bool.random(using: &random) ? 40 : 5_000)
                var received: Int? = 0
                received = lookAhead.fill(mostBytes: Int.random(in: 1...10_000, using: &random)) { memory in
                    if arrived.isEmpty { return nil }
                    memory.copyBytes(from: arrived.prefix(memory.count))
                    return min(arrived.count, memory.count)
                }
                #expect((received == nil) == arrived.isEmpty)
                model += arrived.prefix(received ?? 0)
            case 3:
                let count = Int.random(in: 0...model.count, using: &random)
                #expect(lookAhead.queue.take(count) == Array(model.prefix(count)))
                model.removeFirst(count)
            case 4:
                var memory = [UInt8](repeating: 9, count: Int.random(in: 0...300, using: &random))
                let count = memory.withUnsafeMutableBytes { lookAhead.queue.take(into: $0) }
                #expect(memory.prefix(count) == model.prefix(memory.count))
                model.removeFirst(count)
            case 5:
                let given = bytes(100)
                lookAhead.prepend(given[...])
                model = given + model
            default:
                let list = (0...Int.random(in: 0...3, using: &random)).map { _ in [3] + bytes(4) }
                let offset = Int.random(in: 0...model.count, using: &random)
                let separators = try Separators(list)
                let found = lookAhead.firstMatch(of: separators, from: offset)
                #expect(found == firstMatch(of: list, in: model, from: offset))
                #expect(lookAhead.queue.firstOffset(of: UInt8(2), from: offset) == model[offset...].firstIndex(of: 2))
            }
            try #require(lookAhead.queue.count == model.count)
            #expect(lookAhead.queue.isEmpty == model.isEmpty)
        }
        #expect(lookAhead.queue.take(lookAhead.queue.count) == model)
    }

    /// Searches by the end of the match, and of several matches takes the shortest.
    private func firstMatch(of separators: [[UInt8]], in bytes: [UInt8], from offset: Int) -> Range<Int>? {
        for end in offset..<(bytes.count + 1) {
            for separator in separators.sorted(by: { $0.count < $1.count }) {
                let start = end - separator.count
                if start >= offset, bytes[start..<end].elementsEqual(separator) { return start..<end }
            }
        }
        return nil
    }

    @Test func memoryIsRetainedBetweenLinesAndGrowsWithTheReceivedBytes() {
        let lookAhead = LookAhead()
        func receive(_ count: Int) -> Int {
            lookAhead.fill(mostBytes: 1 << 20) { min(count, $0.count) } ?? 0
        }
        #expect(lookAhead.queue.memoryBytes == 0)
        for _ in 0..<100 {
            #expect(receive(100) == 100)
            lookAhead.queue.consume(100)
        }
        let small = lookAhead.queue.memoryBytes
        #expect(small > 0 && small <= 2_048)
        for _ in 0..<10 { lookAhead.queue.consume(receive(.max)) }
        #expect(lookAhead.queue.memoryBytes == 16 * 1024)
        // The memory that a long line needed is freed.
        while lookAhead.queue.count < 1_000_000 { _ = receive(.max) }
        lookAhead.queue.consume(lookAhead.queue.count)
        #expect(lookAhead.queue.memoryBytes == 0)
    }

    @Test func takingSmallPiecesDoesNotGrowTheMemory() {
        let lookAhead = LookAhead()
        for _ in 0..<10_000 {
            #expect(lookAhead.fill(mostBytes: 1_000) { min(7, $0.count) } == 7)
            // One byte always remains.
            lookAhead.queue.consume(lookAhead.queue.count - 1)
        }
        #expect(lookAhead.queue.memoryBytes <= 2_048)
    }

    // covers: 303
    @Test func emptySeparatorsAreRejected() {
        #expect(code { _ = try Separators([]) } == .invalidArgument)
        #expect(code { _ = try Separators([[]]) } == .invalidArgument)
        #expect(code { _ = try Separators([[1], []]) } == .invalidArgument)
    }
}
