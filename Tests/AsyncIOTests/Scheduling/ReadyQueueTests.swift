import Testing

@testable import AsyncIO

struct ReadyQueueTests {
    private func word(_ number: UInt32) -> LoopWord {
        LoopWord(.callback, SlotID(slot: number, generation: 0))
    }

    @Test func wordsAreReturnedInTheOrderOfPushing() {
        var queue = ReadyQueue(capacity: 4)
        #expect(queue.count == 0)
        for number in 0..<3 as Range<UInt32> { queue.push(word(number)) }
        #expect(queue.count == 3)
        for number in 0..<3 as Range<UInt32> { #expect(queue.pop().id.slot == number) }
        #expect(queue.count == 0)
    }

    @Test func fullRingGrowsWithItsHeadInTheMiddle() {
        var queue = ReadyQueue(capacity: 4)
        // The head is not at the beginning of the memory when the ring is full.
        for number in 0..<3 as Range<UInt32> { queue.push(word(number)) }
        for number in 0..<2 as Range<UInt32> { #expect(queue.pop().id.slot == number) }
        for number in 3..<9 as Range<UInt32> { queue.push(word(number)) }
        #expect(queue.count == 7)
        for number in 2..<9 as Range<UInt32> { #expect(queue.pop().id.slot == number) }
    }

    @Test(arguments: [1, 2, 3] as [UInt64])
    func queueBehavesLikeAnArray(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        var queue = ReadyQueue(capacity: 2)
        var model: [UInt32] = []
        for number in 0..<10_000 as Range<UInt32> {
            if Bool.random(using: &generator) || model.isEmpty {
                queue.push(word(number))
                model.append(number)
            } else {
                #expect(queue.pop().id.slot == model.removeFirst())
            }
            #expect(queue.count == model.count)
        }
    }
}
