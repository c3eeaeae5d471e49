import Testing

@testable import AsyncIO

struct SlabTests {
    // covers: 44
    @Test func staleIDFindsNothing() {
        var slab = Slab<String>()
        let first = slab.insert("first")
        #expect(slab.contains(first) == true)
        #expect(slab.remove(first) == "first")
        #expect(slab.contains(first) == false)
        #expect(slab.remove(first) == nil)
        let second = slab.insert("second")
        #expect(second.slot == first.slot)
        #expect(second.generation == first.generation + 1)
        #expect(slab[first] == nil)
        #expect(slab.remove(first) == nil)
        #expect(slab[second]?.pointee == "second")
        #expect(slab.count == 1)
    }

    @Test func slotsAreReusedLastInFirstOut() {
        var slab = Slab<Int>(capacity: 1)
        let ids = (0..<5).map { slab.insert($0) }
        #expect(ids.map(\.slot) == [0, 1, 2, 3, 4])
        _ = slab.remove(ids[1])
        _ = slab.remove(ids[3])
        #expect(slab.insert(6).slot == 3)
        #expect(slab.insert(7).slot == 1)
        #expect(slab.insert(8).slot == 5)
    }

    @Test func idOfAnUnusedSlotFindsNothing() {
        var slab = Slab<Int>()
        let id = SlotID(slot: .max, generation: 0)
        #expect(slab[id] == nil)
        #expect(slab.remove(id) == nil)
        _ = slab.insert(1)
        #expect(slab[SlotID(slot: 1, generation: 0)] == nil)
    }

    @Test func elementIsReleasedWhenItIsRemovedAndWithItsSlab() {
        final class Thing {}
        weak var removed: Thing?
        weak var left: Thing?
        do {
            var slab = Slab<Thing>()
            let id: SlotID
            do {
                let (one, other) = (Thing(), Thing())
                (removed, left) = (one, other)
                id = slab.insert(one)
                _ = slab.insert(other)
            }
            _ = slab.remove(id)
            #expect(removed == nil)
            #expect(left != nil)
            #expect(slab.ids.count == 1)
        }
        #expect(left == nil)
    }

    @Test func elementIsChangedInPlace() {
        // One type whose optional needs an extra byte, and one whose optional uses spare bits.
        var numbers = Slab<UInt64>()
        let number = numbers.insert(.max)
        numbers[number]?.pointee -= 1
        #expect(numbers.remove(number) == UInt64.max - 1)
        var texts = Slab<[String]>()
        let text = texts.insert(["a"])
        texts[text]?.pointee.append("b")
        #expect(texts.remove(text) == ["a", "b"])
    }

    @Test(arguments: [1, 2, 3] as [UInt64])
    func slabBehavesLikeADictionary(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        var slab = Slab<Int>(capacity: 2)
        var model: [SlotID: Int] = [:]
        var stale: [SlotID] = []
        for number in 0..<1_000 {
            switch Int.random(in: 0..<4, using: &generator) {
            case 0, 1:
                let id = slab.insert(number)
                #expect(model.updateValue(number, forKey: id) == nil)
            case 2:
                guard let id = model.keys.sorted(by: { $0.bits < $1.bits }).randomElement(using: &generator) else {
                    break
                }
                #expect(slab.remove(id) == model.removeValue(forKey: id))
                stale.append(id)
            default:
                guard let id = stale.randomElement(using: &generator) else { break }
                #expect(slab.remove(id) == nil)
            }
        }
        #expect(slab.count == model.count)
        #expect(Set(slab.ids) == Set(model.keys))
        for (id, number) in model { #expect(slab[id]?.pointee == number) }
    }
}
