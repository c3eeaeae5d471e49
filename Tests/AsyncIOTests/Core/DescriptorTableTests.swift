import Testing

@testable import AsyncIO

struct DescriptorTableTests {
    @Test(arguments: [0, 31, 32, 1_000, 65_535, 65_536, CInt.max, -1])
    func userOfADescriptorIsFoundByNumberAndRemoved(number: CInt) {
        var table = DescriptorTable()
        let user = EventSource()
        expectUser(of: number, nil, in: table)
        table[number] = nil
        table[number] = user
        expectUser(of: number, number < 0 ? nil : user, in: table)
        expectUser(of: number == 0 ? 1 : number - 1, nil, in: table)
        table[number] = nil
        expectUser(of: number, nil, in: table)
        table[number] = user
        table.removeUsers()
        expectUser(of: number, nil, in: table)
    }

    /// The array doubles, but must not reach numbers that are stored separately.
    @Test func highNumberIsFoundHoweverTheTableHasGrown() {
        var table = DescriptorTable()
        let (near, far) = (EventSource(), EventSource())
        for number: CInt in [40_000, 50_000] { table[number] = near }
        table[70_000] = far
        expectUser(of: 70_000, far, in: table)
        table[70_000] = nil
        expectUser(of: 70_000, nil, in: table)
        table[65_535] = far
        expectUser(of: 65_535, far, in: table)
        expectUser(of: 50_000, near, in: table)
    }

    @Test(arguments: [3, 65_535, 70_000] as [CInt])
    func shareAppliesToOneDescriptorAndOneIteration(number: CInt) {
        var table = DescriptorTable()
        for _ in 0..<16 {
            expectShare(of: number, true, in: 1, &table)
            table.useShare(number, 1, in: 1)
        }
        expectShare(of: number, false, in: 1, &table)
        expectShare(of: 4, true, in: 1, &table)
        expectShare(of: number, true, in: 2, &table)
        table.useShare(number, .max, in: 2)
        expectShare(of: number, false, in: 2, &table)
    }

    private func expectUser(
        of number: CInt, _ expected: EventSource?, in table: borrowing DescriptorTable,
        _ location: SourceLocation = #_sourceLocation
    ) {
        let user = table[number]
        #expect(user === expected, sourceLocation: location)
    }

    private func expectShare(
        of number: CInt, _ expected: Bool, in tick: UInt64, _ table: inout DescriptorTable,
        _ location: SourceLocation = #_sourceLocation
    ) {
        let isLeft = table.hasShareLeft(number, in: tick)
        #expect(isLeft == expected, sourceLocation: location)
    }
}
