import Testing

@testable import AsyncIO

/// The decisions of a race alone, without a loop.
struct ConnectionRaceTests {
    private static let ipv4 = (1...4).map { SocketAddress(literal: "192.0.2.\($0)", port: 7)! }
    private static let ipv6 = (1...4).map { SocketAddress(literal: "2001:db8::\($0)", port: 7)! }

    private static func instant(_ milliseconds: Int64) -> LoopInstant {
        LoopInstant(nanoseconds: milliseconds * 1_000_000)
    }

    private static func error(_ address: SocketAddress) -> IOError {
        .connecting(.connectionRefused, to: address)
    }

    private static func race(_ addresses: [SocketAddress], interleaves: Bool = true) -> ConnectionRace {
        var race = ConnectionRace(attemptDelay: .milliseconds(250))
        race.found(addresses, interleaves: interleaves, at: instant(0))
        race.resolved()
        return race
    }

    // covers: 160
    @Test func familiesAlternateAndBeginWithTheFirstAddress() {
        let (v4, v6) = (Self.ipv4, Self.ipv6)
        #expect([v6[0], v6[1], v6[2], v4[0], v4[1]].interleavingFamilies() == [v6[0], v4[0], v6[1], v4[1], v6[2]])
        #expect([v4[0], v4[1], v6[0]].interleavingFamilies() == [v4[0], v6[0], v4[1]])
        #expect([v4[0], v4[1], v6[0]].interleavingFamilies(first: .ipv6) == [v6[0], v4[0], v4[1]])
        #expect(v4.interleavingFamilies(first: .ipv6) == v4)
        #expect([SocketAddress]().interleavingFamilies() == [])
        #expect(Self.race([v4[0], v4[1], v6[0]], interleaves: false).addresses == [v4[0], v4[1], v6[0]])
    }

    // covers: 160
    @Test func nextAddressIsTriedAfterTheDelay() {
        var race = Self.race(Array(Self.ipv4[..<3]))
        #expect(race.next(at: Self.instant(10)) == .attempt(0))
        #expect(race.next(at: Self.instant(10)) == .wait(until: Self.instant(260)))
        #expect(race.next(at: Self.instant(259)) == .wait(until: Self.instant(260)))
        #expect(race.next(at: Self.instant(260)) == .attempt(1))
        #expect(race.next(at: Self.instant(300)) == .wait(until: Self.instant(510)))
        #expect(race.next(at: Self.instant(600)) == .attempt(2))
        #expect(race.next(at: Self.instant(600)) == .wait(until: nil))
    }

    @Test func sixteenAddressesAreTriedAtOnce() {
        let addresses = (1...20).map { SocketAddress(literal: "192.0.2.\($0)", port: 7)! }
        var race = Self.race(addresses)
        for index in 0..<16 {
            #expect(race.next(at: Self.instant(250 * Int64(index))) == .attempt(index))
        }
        #expect(race.next(at: Self.instant(60_000)) == .wait(until: nil))
        race.failed(3, Self.error(addresses[3]), at: Self.instant(60_000))
        #expect(race.next(at: Self.instant(60_000)) == .attempt(16))
        #expect(race.next(at: Self.instant(61_000)) == .wait(until: nil))
        race.failed(16, Self.error(addresses[16]), at: Self.instant(61_000))
        #expect(race.next(at: Self.instant(61_000)) == .attempt(17))
    }

    // covers: 160
    @Test func failureOfTheYoungestAttemptBeginsTheNextAtOnce() {
        let addresses = Self.ipv4
        var race = Self.race(addresses)
        #expect(race.next(at: Self.instant(0)) == .attempt(0))
        race.failed(0, Self.error(addresses[0]), at: Self.instant(5))
        #expect(race.next(at: Self.instant(5)) == .attempt(1))
        #expect(race.next(at: Self.instant(255)) == .attempt(2))
        // The youngest one has had no time yet.
        race.failed(1, Self.error(addresses[1]), at: Self.instant(300))
        #expect(race.next(at: Self.instant(300)) == .wait(until: Self.instant(505)))
        race.failed(2, Self.error(addresses[2]), at: Self.instant(310))
        #expect(race.next(at: Self.instant(310)) == .attempt(3))
        race.failed(3, Self.error(addresses[3]), at: Self.instant(320))
        #expect(race.next(at: Self.instant(320)) == .end)
        #expect(race.errors.map(\.address) == addresses)
    }

    /// The order in which the attempts fail does not matter.
    // covers: 160
    @Test func errorsAreInTheOrderOfTheAttempts() {
        let addresses = Array(Self.ipv4[..<2])
        var race = Self.race(addresses)
        #expect(race.next(at: Self.instant(0)) == .attempt(0))
        #expect(race.next(at: Self.instant(250)) == .attempt(1))
        race.failed(1, Self.error(addresses[1]), at: Self.instant(251))
        #expect(race.next(at: Self.instant(251)) == .wait(until: nil))
        race.failed(0, Self.error(addresses[0]), at: Self.instant(252))
        #expect(race.next(at: Self.instant(252)) == .end)
        #expect(race.errors.map(\.address) == addresses)
    }

    // covers: 160, F22
    @Test func onlyTheFirstConnectionWins() {
        var race = Self.race(Self.ipv4)
        #expect(race.next(at: Self.instant(0)) == .attempt(0))
        #expect(race.next(at: Self.instant(250)) == .attempt(1))
        #expect(race.connected() == true)
        #expect(race.next(at: Self.instant(250)) == .end)
        #expect(race.connected() == false)
        #expect(race.next(at: Self.instant(9_999)) == .end)
    }

    // covers: 275
    @Test func firstIPv4AnswerWaitsForTheIPv6Answer() {
        let (v4, v6) = (Self.ipv4, Self.ipv6)
        var race = ConnectionRace(attemptDelay: .milliseconds(250))
        #expect(race.next(at: Self.instant(0)) == .wait(until: nil))
        race.found(Array(v4[..<2]), interleaves: true, at: Self.instant(100))
        #expect(race.next(at: Self.instant(100)) == .wait(until: Self.instant(150)))
        race.found(Array(v6[..<2]), interleaves: true, at: Self.instant(120))
        #expect(race.next(at: Self.instant(120)) == .attempt(0))
        #expect(race.addresses == [v6[0], v4[0], v6[1], v4[1]])
    }

    // covers: 275
    @Test func ipv6AnswerThatIsLateJoinsTheRace() {
        let (v4, v6) = (Self.ipv4, Self.ipv6)
        var race = ConnectionRace(attemptDelay: .milliseconds(250))
        race.found(Array(v4[..<3]), interleaves: true, at: Self.instant(0))
        #expect(race.next(at: Self.instant(50)) == .attempt(0))
        race.found(Array(v6[..<2]), interleaves: true, at: Self.instant(60))
        #expect(race.addresses == [v4[0], v6[0], v4[1], v6[1], v4[2]])
        race.failed(0, Self.error(v4[0]), at: Self.instant(70))
        #expect(race.next(at: Self.instant(70)) == .attempt(1))
        race.resolved()
        #expect(race.next(at: Self.instant(70)) == .wait(until: Self.instant(320)))
    }

    // covers: 275
    @Test func missingAnswersEndTheWait() {
        // The lookup ends without IPv6 addresses.
        var race = ConnectionRace(attemptDelay: .milliseconds(250))
        race.found([Self.ipv4[0]], interleaves: true, at: Self.instant(0))
        #expect(race.next(at: Self.instant(1)) == .wait(until: Self.instant(50)))
        race.resolved()
        #expect(race.next(at: Self.instant(1)) == .attempt(0))

        // IPv6 waits for nothing.
        race = ConnectionRace(attemptDelay: .milliseconds(250))
        race.found([Self.ipv6[0]], interleaves: true, at: Self.instant(0))
        #expect(race.next(at: Self.instant(0)) == .attempt(0))
        // The last attempt fails while the other answer is still missing.
        race.failed(0, Self.error(Self.ipv6[0]), at: Self.instant(1))
        #expect(race.next(at: Self.instant(1)) == .wait(until: nil))
        race.found([Self.ipv4[0]], interleaves: true, at: Self.instant(2))
        #expect(race.next(at: Self.instant(2)) == .attempt(1))

        // There are no addresses at all.
        race = ConnectionRace(attemptDelay: .milliseconds(250))
        race.resolved()
        #expect(race.next(at: Self.instant(0)) == .end)
    }

    @Test func addressesThatAreKnownAreNotTriedAgain() {
        var race = Self.race([Self.ipv4[0], Self.ipv4[0], Self.ipv4[1]])
        #expect(race.next(at: Self.instant(0)) == .attempt(0))
        race.found([Self.ipv4[1], Self.ipv4[0]], interleaves: true, at: Self.instant(0))
        #expect(race.addresses == [Self.ipv4[0], Self.ipv4[1]])
    }
}
