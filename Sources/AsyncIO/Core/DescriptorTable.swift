/// What a loop knows about descriptors, by their numbers: the user of each one, and its share of the iteration.
///
/// An array, because every operation on a socket looks one up, and the system returns the lowest free number. High
/// numbers, which a program has chosen itself, are stored separately and share one share.
struct DescriptorTable: ~Copyable {
    private static let mostEntries: CInt = 1 << 16

    private var users: [EventSource?] = []
    private var farUsers: [CInt: EventSource] = [:]
    /// Empty until a task calls one of the loop's socket operations.
    private var shares: [IterationShare] = []
    private var farShare = IterationShare()

    subscript(number: CInt) -> EventSource? {
        get {
            if Int(number) < users.count { return number < 0 ? nil : users[Int(number)] }
            return farUsers.isEmpty ? nil : farUsers[number]
        }
        set {
            // Released last, when the table is consistent, because releasing a source may run code of the user.
            let former = self[number]
            if isNear(number) {
                if newValue != nil { Self.makeRoom(for: number, in: &users, nil) }
                if Int(number) < users.count { users[Int(number)] = newValue }
            } else if number >= 0 {
                farUsers[number] = newValue
            }
            withExtendedLifetime(former) {}
        }
    }

    mutating func hasShareLeft(_ number: CInt, in tick: UInt64) -> Bool {
        guard isNear(number) else { return farShare.isLeft(in: tick) }
        return Int(number) < shares.count ? shares[Int(number)].isLeft(in: tick) : true
    }

    mutating func useShare(_ number: CInt, _ count: Int, in tick: UInt64) {
        guard isNear(number) else { return farShare.use(count, in: tick) }
        Self.makeRoom(for: number, in: &shares, IterationShare())
        shares[Int(number)].use(count, in: tick)
    }

    mutating func removeUsers() {
        let former = (users, farUsers)
        users = []
        farUsers = [:]
        withExtendedLifetime(former) {}
    }

    private func isNear(_ number: CInt) -> Bool { number >= 0 && number < Self.mostEntries }

    private static func makeRoom<Entry>(for number: CInt, in entries: inout [Entry], _ none: Entry) {
        if Int(number) < entries.count { return }
        // Never beyond the low numbers, because the others are stored separately.
        let wanted = min(max(Int(number) + 1, 2 * entries.count, 32), Int(mostEntries))
        entries.append(contentsOf: repeatElement(none, count: wanted - entries.count))
    }
}
