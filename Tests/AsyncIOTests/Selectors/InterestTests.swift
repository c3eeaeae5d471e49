import Selectors
import Testing

/// What can be requested of a selector, and what it reports.
struct InterestTests {
    // covers: 2
    @Test(arguments: UInt8.min...UInt8.max)
    func anInterestContainsOnlyTheTwoDirections(bits: UInt8) {
        let interest = Interest(rawValue: bits)
        #expect(interest.isSubset(of: [.read, .write]))
        #expect(interest.contains(.read) == (bits & Readiness.read.rawValue != 0))
        #expect(interest.contains(.write) == (bits & Readiness.write.rawValue != 0))
        #expect(Interest(Readiness(rawValue: bits)) == interest)
        #expect(Interest(Readiness(interest)) == interest)
        #expect(interest.symmetricDifference([.read, .write]).union(interest) == [.read, .write])
    }

    @Test func hintsCannotBeRequested() {
        #expect(Interest([.hangup, .urgent] as Readiness).isEmpty)
        #expect(Interest([.read, .hangup] as Readiness) == .read)
    }

    @Test func readinessIsMatchedWithoutItsHints() {
        let readiness: Readiness = [.read, .write, .hangup, .urgent]
        #expect(readiness.matching([.read, .write]) == [.read, .write])
        #expect(readiness.matching(.write) == .write)
        #expect(Readiness.write.matching(.read).isEmpty)
        #expect(readiness.matching([]).isEmpty)
    }

    @Test func bothTypesArePrintedAlike() {
        #expect("\([.read, .write] as Interest)" == "\([.read, .write] as Readiness)")
        #expect("\([] as Interest)" == "[]")
    }
}
