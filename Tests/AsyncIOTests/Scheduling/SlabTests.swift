import Testing

@testable import AsyncIO

struct SlabTests {
    // covers: 44
    @Test func aStaleNameFindsNothing() {
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

    @Test func placesAreReusedLastInFirstOut() {
        var slab = Slab<Int>(capacity: 1)
        let names = (0..<5).map { slab.insert($0) }
        #expect(names.map(\.slot) == [0, 1, 2, 3, 4])
        _ = slab.remove(names[1])
        _ = slab.remove(names[3])
        #expect(slab.insert(6).slot == 3)
        #expect(slab.insert(7).slot == 1)
        #expect(slab.insert(8).slot == 5)
    }

    @Test func aNameOfAPlaceThatWasNeverUsedFindsNothing() {
        var slab = Slab<Int>()
        let name = SlotName(slot: .max, generation: 0)
        #expect(slab[name] == nil)
        #expect(slab.remove(name) == nil)
        _ = slab.insert(1)
        #expect(slab[SlotName(slot: 1, generation: 0)] == nil)
    }

    @Test func anElementIsReleasedWhenItIsRemovedAndWithItsSlab() {
        final class Thing {}
        weak var removed: Thing?
        weak var left: Thing?
        do {
            var slab = Slab<Thing>()
            let name: SlotName
            do {
                let (one, other) = (Thing(), Thing())
                (removed, left) = (one, other)
                name = slab.insert(one)
                _ = slab.insert(other)
            }
            _ = slab.remove(name)
            #expect(removed == nil)
            #expect(left != nil)
            #expect(slab.names.count == 1)
        }
        #expect(left == nil)
    }

    @Test func anElementIsChangedInPlace() {
        // One type whose optional needs a tag of its own, and one whose optional hides in spare bits.
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
    func randomUseIsThatOfADictionary(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        var slab = Slab<Int>(capacity: 2)
        var model: [SlotName: Int] = [:]
        var stale: [SlotName] = []
        for number in 0..<1_000 {
            switch Int.random(in: 0..<4, using: &generator) {
            case 0, 1:
                let name = slab.insert(number)
                #expect(model.updateValue(number, forKey: name) == nil)
            case 2:
                guard let name = model.keys.sorted(by: { $0.bits < $1.bits }).randomElement(using: &generator) else {
                    break
                }
                #expect(slab.remove(name) == model.removeValue(forKey: name))
                stale.append(name)
            default:
                guard let name = stale.randomElement(using: &generator) else { break }
                #expect(slab.remove(name) == nil)
            }
        }
        #expect(slab.count == model.count)
        #expect(Set(slab.names) == Set(model.keys))
        for (name, number) in model { #expect(slab[name]?.pointee == number) }
    }
}
