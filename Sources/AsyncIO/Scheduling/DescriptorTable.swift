/// What a loop knows of descriptors, by their numbers: who uses one, and its share of the tick.
///
/// An array, since the system gives the lowest free number; looking one up is part of every operation on a socket. The few
/// numbers that a program has chosen itself, far up, are kept elsewhere and have no share of their own.
struct DescriptorTable: ~Copyable {
    private static let mostEntries: CInt = 1 << 16

    private struct Entry {
        var user: EventSource?
        var share = TickShare()
    }

    private var entries: [Entry] = []
    private var farUsers: [CInt: EventSource] = [:]
    private var farShare = TickShare()

    /// The transport, listener or watcher that uses the descriptor.
    subscript(number: CInt) -> EventSource? {
        get {
            if Int(number) < entries.count { return number < 0 ? nil : entries[Int(number)].user }
            return farUsers.isEmpty ? nil : farUsers[number]
        }
        set {
            // Released at the end of this setter, when the table is in order: its callbacks are the user's.
            let former = self[number]
            if isNear(number) {
                if newValue != nil { makeRoom(for: number) }
                if Int(number) < entries.count { entries[Int(number)].user = newValue }
            } else if number >= 0 {
                farUsers[number] = newValue
            }
            withExtendedLifetime(former) {}
        }
    }

    /// Whether a task may go on with the descriptor in this tick.
    mutating func hasShareLeft(_ number: CInt, in tick: UInt64) -> Bool {
        guard isNear(number) else { return farShare.isLeft(in: tick) }
        return Int(number) < entries.count ? entries[Int(number)].share.isLeft(in: tick) : true
    }

    /// One call that moved `count` bytes.
    mutating func useShare(_ number: CInt, _ count: Int, in tick: UInt64) {
        guard isNear(number) else { return farShare.use(count, in: tick) }
        makeRoom(for: number)
        entries[Int(number)].share.use(count, in: tick)
    }

    mutating func removeUsers() {
        let former = (entries, farUsers)
        entries = []
        farUsers = [:]
        withExtendedLifetime(former) {}
    }

    private func isNear(_ number: CInt) -> Bool { number >= 0 && number < Self.mostEntries }

    private mutating func makeRoom(for number: CInt) {
        if Int(number) < entries.count { return }
        // Never beyond the near numbers: the others are looked for elsewhere.
        let wanted = min(max(Int(number) + 1, 2 * entries.count, 32), Int(Self.mostEntries))
        entries.append(contentsOf: repeatElement(Entry(), count: wanted - entries.count))
    }
}

extension TickShare {
    /// One call that moves `count` bytes, be it the first of its tick.
    fileprivate mutating func use(_ count: Int, in tick: UInt64) {
        _ = isLeft(in: tick)
        use(count)
    }
}
