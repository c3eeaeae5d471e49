import AsyncIOSystem

/// What a client decides that tries several addresses at a time (happy eyeballs, RFC 8305), as a pure state machine.
///
/// The methods are events in the past tense. After each of them, ``next(at:)`` says what to do; it is called again
/// after every attempt that it has asked for.
struct ConnectionRace {
    enum Action: Equatable {
        /// Begin to connect to the address with this index.
        case attempt(Int)
        /// Wait for an event, at most until the given instant.
        case wait(until: LoopInstant?)
        /// An attempt has connected, or all of them have failed.
        case end
    }

    /// How long an IPv4 address waits for the answer about IPv6 addresses. RFC 8305, section 8.
    static let resolutionDelay = Duration.milliseconds(50)

    /// A name server may return any number of addresses, and each attempt needs a descriptor.
    static let mostAttemptsAtOnce = 16

    /// The addresses in the order in which they are tried.
    private(set) var addresses: [SocketAddress] = []
    private let attemptDelay: Duration
    private var failures: [IOError?] = []
    private var begunCount = 0
    private var runningCount = 0
    private var isResolved = false
    private var isWon = false
    /// Before it, no further address is tried.
    private var nextAttempt = LoopInstant(nanoseconds: .min)

    init(attemptDelay: Duration) { self.attemptDelay = attemptDelay }

    /// The failures of the attempts, in the order of the attempts.
    var errors: [IOError] { failures.compactMap(\.self) }

    /// The lookup has found addresses. Those that were not tried yet are sorted again.
    ///
    /// - Parameter interleaves: Whether the families alternate; otherwise the given order stays.
    mutating func found(_ found: [SocketAddress], interleaves: Bool, at now: LoopInstant) {
        let isFirst = addresses.isEmpty
        var untried = Array(addresses[begunCount...])
        var known = Set(addresses)
        for address in found where known.insert(address).inserted { untried.append(address) }
        if interleaves {
            // The system's order of a whole answer already prefers a family. For several answers the rule is IPv6.
            let first: SocketAddress.Family? =
                if begunCount > 0 {
                    addresses[begunCount - 1].family == .ipv6 ? .ipv4 : .ipv6
                } else {
                    isFirst ? nil : .ipv6
                }
            untried = untried.interleavingFamilies(first: first)
        }
        addresses.replaceSubrange(begunCount..., with: untried)
        failures += Array(repeating: nil, count: addresses.count - failures.count)
        if isFirst, !addresses.isEmpty { nextAttempt = now.advanced(by: Self.resolutionDelay) }
    }

    /// The lookup will find no more addresses.
    mutating func resolved() { isResolved = true }

    /// The attempt to connect to the address with this index has failed.
    mutating func failed(_ index: Int, _ error: IOError, at now: LoopInstant) {
        failures[index] = error
        runningCount -= 1
        // There is no reason to wait longer for the youngest attempt.
        if index == begunCount - 1 || runningCount == 0 { nextAttempt = now }
    }

    /// An attempt has connected. Returns whether it is the first one, which wins.
    mutating func connected() -> Bool {
        runningCount -= 1
        defer { isWon = true }
        return !isWon
    }

    mutating func next(at now: LoopInstant) -> Action {
        if isWon { return .end }
        guard begunCount < addresses.count else {
            return isResolved && runningCount == 0 ? .end : .wait(until: nil)
        }
        // The next event is the end of an attempt.
        if runningCount == Self.mostAttemptsAtOnce { return .wait(until: nil) }
        // Only for the first attempt, and only until the answer about the preferred family has come.
        let awaitsAnswers = begunCount == 0 && !isResolved && addresses[0].family != .ipv6
        if begunCount == 0 ? awaitsAnswers && now < nextAttempt : now < nextAttempt {
            return .wait(until: nextAttempt)
        }
        begunCount += 1
        runningCount += 1
        nextAttempt = now.advanced(by: attemptDelay)
        return .attempt(begunCount - 1)
    }
}
