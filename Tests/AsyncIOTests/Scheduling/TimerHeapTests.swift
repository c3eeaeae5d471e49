import AsyncIOSystem
import Testing

@testable import AsyncIO

struct TimerHeapTests {
    private func id(_ number: Int) -> SlotID { SlotID(slot: UInt32(number), generation: 0) }

    private func drain(_ heap: inout TimerHeap) -> [UInt32] {
        var slots: [UInt32] = []
        while let first = heap.first {
            slots.append(first.id.slot)
            heap.removeFirst(isStale: false)
        }
        return slots
    }

    // covers: 48
    @Test func earliestDeadlineComesFirst() {
        var heap = TimerHeap()
        for (number, deadline) in ([50, 10, 40, -20, 30, .max, .min] as [Int64]).enumerated() {
            heap.insert(deadline: LoopInstant(nanoseconds: deadline), id: id(number))
        }
        #expect(drain(&heap) == [6, 3, 1, 4, 2, 0, 5])
    }

    // covers: 48
    @Test func equalDeadlinesComeInTheOrderOfCreation() {
        var heap = TimerHeap()
        for number in 0..<200 { heap.insert(deadline: LoopInstant(nanoseconds: 7), id: id(number)) }
        #expect(drain(&heap) == Array(0..<200))
    }

    // covers: 51
    @Test func heapIsRebuiltWhenMostEntriesAreStale() {
        var heap = TimerHeap()
        for number in 0..<1_000 {
            heap.insert(deadline: LoopInstant(nanoseconds: Int64(1_000 - number)), id: id(number))
        }
        for number in 0..<500 {
            heap.cancelled { $0.slot > UInt32(number) }
            #expect(heap.count == 1_000)
        }
        heap.cancelled { $0.slot > 500 }
        #expect(heap.count == 499)
        #expect(drain(&heap) == (501..<1_000).reversed().map(UInt32.init))
    }

    @Test func smallHeapIsNotRebuilt() {
        var heap = TimerHeap()
        for number in 0..<100 { heap.insert(deadline: LoopInstant(nanoseconds: 1), id: id(number)) }
        for _ in 0..<100 { heap.cancelled { _ in false } }
        #expect(heap.count == 100)
    }

    @Test func rebuiltHeapMayHaveOneEntryOrNone() {
        for survivors in 0...1 {
            var heap = TimerHeap()
            for number in 0..<101 { heap.insert(deadline: LoopInstant(nanoseconds: 1), id: id(number)) }
            for _ in 0..<51 { heap.cancelled { $0.slot < UInt32(survivors) } }
            #expect(heap.count == survivors)
            heap.insert(deadline: LoopInstant(nanoseconds: 0), id: id(500))
            #expect(drain(&heap) == [500] + (0..<UInt32(survivors)))
        }
    }

    // covers: 48, 51
    @Test(arguments: 1...8 as ClosedRange<UInt64>)
    func heapBehavesLikeASortedArray(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        var heap = TimerHeap()
        var living: [(deadline: Int64, number: Int)] = []
        var alive: Set<UInt32> = []
        // Few different deadlines, so that many are equal; many cancellations in some runs, so that the heap is
        // rebuilt.
        let cancelling = Int(seed % 4)
        for number in 0..<4_000 {
            switch Int.random(in: 0..<(4 + cancelling), using: &generator) {
            case 0, 1, 2:
                let deadline = Int64.random(in: 0..<50, using: &generator)
                heap.insert(deadline: LoopInstant(nanoseconds: deadline), id: id(number))
                let place = living.firstIndex { $0.deadline > deadline } ?? living.count
                living.insert((deadline, number), at: place)
                alive.insert(UInt32(number))
            case 3:
                while let first = heap.first, !alive.contains(first.id.slot) {
                    heap.removeFirst(isStale: true)
                }
                #expect(heap.first.map { Int($0.id.slot) } == living.first?.number)
                guard let first = living.first else { break }
                heap.removeFirst(isStale: false)
                alive.remove(UInt32(first.number))
                living.removeFirst()
            default:
                guard let place = living.indices.randomElement(using: &generator) else { break }
                alive.remove(UInt32(living.remove(at: place).number))
                heap.cancelled { alive.contains($0.slot) }
                #expect(heap.count <= max(100, living.count * 2))
            }
            #expect(heap.count >= living.count)
        }
        #expect(drain(&heap).filter(alive.contains) == living.map { UInt32($0.number) })
    }
}
