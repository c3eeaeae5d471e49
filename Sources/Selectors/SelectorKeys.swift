import CAsyncIO
public import SystemPackage

/// What is registered with a selector, by descriptor: a live view, which only the selector changes. Python: `get_map`.
///
/// Empty after the selector was closed. It belongs to the selector's thread. To go through it while registrations change is
/// safe: it goes by ascending numbers, and shows what is there when it comes to it.
///
/// It is also the bookkeeping that the selectors of this module share. Every step takes constant time. It takes 16 bytes for
/// each number up to the highest; the kernel's own table, which is laid out the same way, takes half of that.
public final class SelectorKeys: Sequence {
    package struct Entry {
        package var token: UInt64
        /// Where the selector keeps what it hands to the kernel.
        package var position: UInt32
        /// Empty where there is no registration.
        package var interest: Interest
        package var trigger: Trigger

        package init(token: UInt64, position: Int = 0, interest: Interest, trigger: Trigger) {
            self.token = token
            self.position = UInt32(position)
            self.interest = interest
            self.trigger = trigger
        }

        fileprivate static let none = Entry(token: 0, interest: [], trigger: .level)
    }

    private var entries: [Entry] = []
    /// How many there are.
    public private(set) var count = 0
    /// After `close` there are no registrations, and none can be made.
    private var isClosed = false

    package init() {}

    /// What `descriptor` is registered as; `nil` if it is not. Python: `get_key`.
    public subscript(descriptor: FileDescriptor) -> SelectorKey? {
        guard let entry = entry(of: descriptor.rawValue) else { return nil }
        return SelectorKey(
            descriptor: descriptor, interest: entry.interest, trigger: entry.trigger, token: entry.token)
    }

    /// By ascending numbers of their descriptors.
    public func makeIterator() -> Iterator { Iterator(keys: self) }

    public struct Iterator: IteratorProtocol {
        fileprivate let keys: SelectorKeys
        private var number: CInt = 0

        fileprivate init(keys: SelectorKeys) {
            self.keys = keys
        }

        public mutating func next() -> SelectorKey? {
            while number < keys.entries.count {
                defer { number += 1 }
                if let key = keys[FileDescriptor(rawValue: number)] { return key }
            }
            return nil
        }
    }

    package func entry(of number: CInt) -> Entry? {
        guard let index = index(of: number) else { return nil }
        return entries[index]
    }

    package func contains(_ number: CInt) -> Bool { index(of: number) != nil }

    private func index(of number: CInt) -> Int? {
        guard number >= 0, number < entries.count, !entries[Int(number)].interest.isEmpty else { return nil }
        return Int(number)
    }

    // MARK: What the contract of selectors asks for, before the kernel is

    /// Throws unless `descriptor` may be registered.
    package func checkRegister(_ descriptor: FileDescriptor, _ interest: Interest) throws(Errno) {
        if isClosed || descriptor.rawValue < 0 { throw .badFileDescriptor }
        try Self.check(interest)
        if contains(descriptor.rawValue) { throw .fileExists }
    }

    /// Throws unless there is a registration that may be changed.
    package func checkModify(_ descriptor: FileDescriptor, _ interest: Interest) throws(Errno) -> Entry {
        if isClosed { throw .badFileDescriptor }
        guard let entry = entry(of: descriptor.rawValue) else { throw .noSuchFileOrDirectory }
        try Self.check(interest)
        return entry
    }

    private static func check(_ interest: Interest) throws(Errno) {
        if interest.isEmpty { throw .invalidArgument }
    }

    /// Throws after `close`: a wait is the only step that asks for no registration.
    package func checkOpen() throws(Errno) {
        if isClosed { throw .badFileDescriptor }
    }

    // MARK: The same for selectors that know only levels, and whose kernel hears of a descriptor only when they wait

    package func checkRegisterOpen(
        _ descriptor: FileDescriptor, _ interest: Interest, _ trigger: Trigger
    ) throws(Errno) {
        try checkRegister(descriptor, interest)
        if trigger == .edge { throw .invalidArgument }
        let result = aio_check_open(descriptor.rawValue)
        if result < 0 { throw Errno(rawValue: -result) }
    }

    /// Checks and changes. Returns the registration as it is then.
    @discardableResult
    package func modify(
        _ descriptor: FileDescriptor, _ interest: Interest, _ trigger: Trigger, _ token: UInt64
    ) throws(Errno) -> Entry {
        var entry = try checkModify(descriptor, interest)
        if trigger == .edge { throw .invalidArgument }
        entry.token = token
        entry.interest = interest
        set(descriptor, entry)
        return entry
    }

    // MARK: Changes

    /// `descriptor` was checked by `checkRegister` or `checkModify`.
    package func set(_ descriptor: FileDescriptor, _ entry: Entry) {
        let index = Int(descriptor.rawValue)
        if index >= entries.count {
            entries.append(contentsOf: repeatElement(.none, count: Swift.max(index + 1, 64) - entries.count))
        }
        if entries[index].interest.isEmpty { count += 1 }
        entries[index] = entry
    }

    /// The kernel's side moved.
    package func move(_ number: CInt, to position: Int) {
        guard let index = index(of: number) else { return }
        entries[index].position = UInt32(position)
    }

    /// Returns what was registered. Throws `ENOENT` if nothing was.
    @discardableResult
    package func remove(_ descriptor: FileDescriptor) throws(Errno) -> Entry {
        if isClosed { throw .badFileDescriptor }
        guard let index = index(of: descriptor.rawValue) else { throw .noSuchFileOrDirectory }
        let entry = entries[index]
        entries[index] = .none
        count -= 1
        return entry
    }

    /// `false` if it was closed before.
    package func close() -> Bool {
        guard !isClosed else { return false }
        isClosed = true
        entries = []
        count = 0
        return true
    }
}
