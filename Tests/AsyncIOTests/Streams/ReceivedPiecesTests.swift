import Testing

@testable import AsyncIO

struct ReceivedPiecesTests {
    @Test(arguments: 1...8)
    func piecesAreJoinedInOrder(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let pieces = ReceivedPieces(firstBytes: 100)
        var model: [UInt8] = []
        var lentBytes = 0
        for round in 0..<200 {
            let wanted = Int.random(in: 1...1_000, using: &random)
            let arrived = Int.random(in: 0...1_000, using: &random)
            let received = pieces.fill(mostBytes: wanted) { memory in
                #expect(!memory.isEmpty && memory.count <= wanted)
                lentBytes = max(lentBytes, memory.count)
                if arrived == 0 { return nil }
                let count = min(arrived, memory.count)
                for index in 0..<count { memory[index] = UInt8(truncatingIfNeeded: round) }
                return count
            }
            #expect((received == nil) == (arrived == 0))
            model += [UInt8](repeating: UInt8(truncatingIfNeeded: round), count: received ?? 0)
            #expect(pieces.count == model.count)
        }
        #expect(pieces.joined() == model)
        // The pieces have grown with the received bytes.
        #expect(lentBytes > 100)
    }

    @Test func noPiecesAreAnEmptyArray() {
        let pieces = ReceivedPieces(firstBytes: 100)
        #expect(pieces.joined() == [])
        #expect(pieces.fill(mostBytes: 10) { _ in nil } == nil)
        #expect(pieces.fill(mostBytes: 10) { _ in 0 } == 0)
        #expect(pieces.joined() == [])
    }
}
