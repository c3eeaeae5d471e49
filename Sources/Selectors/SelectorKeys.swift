import CAsyncIO
public import SystemPackage

/// The registrations of a selector by descriptor: a live view, which only the selector changes. Python: `get_map`.
///
/// It is empty after the selector has been closed. An iteration visits descriptors in ascending order. Registrations
/// may change during it: it shows what is registered when it reaches a number.
///
/// It also is the bookkeeping that the selectors of this module share. Every operation takes constant time. It needs 16
/// bytes for each number up to the highest that was registered; the kernel's own table has the same layout and needs
/// half of that.
///
/// - Thread: the selector's.
public final class SelectorKeys: Sequence {
    package struct Entry {
        package var token: UInt64
        /// The index of the entry in the selector's own storage. Its meaning differs from selector to selector.
        package var position: UInt32
        /// Empty if there is no registration.
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
    /// The number of registrations.
    public private(set) var count = 0
    /// After `close` there are no registrations, and none can be added.
    private var isClosed = false

    package init() {}

    /// The registration of `descriptor`, or `nil` if it is not registered. Python: `get_key`.
    public subscript(descriptor: FileDescriptor) -> SelectorKey? {
        guard let entry = entry(of: descriptor.rawValue) else { return nil }
        return SelectorKey(
            descriptor: descriptor, interest: entry.interest, trigger: entry.trigger, token: entry.token)
    }

    /// Returns an iterator over the registrations in ascending order of descriptors.
    public func makeIterator() -> Iterator { Iterator(keys: self) }

    /// An iterator over the registrations of a selector.
    public struct Iterator: IteratorProtocol {
        fileprivate let keys: SelectorKeys
        private var number: CInt = 0

        fileprivate init(keys: SelectorKeys) {
            self.keys = keys
        }

        /// Returns the next registration, or `nil` after the last one.
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

    // MARK: Checks of the contract, before the system call

    /// Throws unless `descriptor` may be registered.
    package func checkRegister(_ descriptor: FileDescriptor, _ interest: Interest) throws(Errno) {
        if isClosed || descriptor.rawValue < 0 { throw .badFileDescriptor }
        try Self.check(interest)
        if contains(descriptor.rawValue) { throw .fileExists }
    }

    /// Returns the registration, or throws if it may not be changed.
    package func checkModify(_ descriptor: FileDescriptor, _ interest: Interest) throws(Errno) -> Entry {
        if isClosed { throw .badFileDescriptor }
        guard let entry = entry(of: descriptor.rawValue) else { throw .noSuchFileOrDirectory }
        try Self.check(interest)
        return entry
    }

    private static func check(_ interest: Interest) throws(Errno) {
        if interest.isEmpty { throw .invalidArgument }
    }

    /// Throws after `close`. A wait needs this, because it looks up no registration.
    package func checkOpen() throws(Errno) {
        if isClosed { throw .badFileDescriptor }
    }

    // MARK: Checks for level-triggered selectors, whose kernel learns of a descriptor only during a wait

    package func checkRegisterOpen(
        _ descriptor: FileDescriptor, _ interest: Interest, _ trigger: Trigger
    ) throws(Errno) {
        try checkRegister(descriptor, interest)
        if trigger == .edge { throw .invalidArgument }
        let result = aio_check_open(descriptor.rawValue)
        if result < 0 { throw Errno(rawValue: -result) }
    }

    /// Checks and changes a registration, and returns the new one.
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

    /// Stores a registration. `descriptor` was checked by `checkRegister` or `checkModify`.
    package func set(_ descriptor: FileDescriptor, _ entry: Entry) {
        let index = Int(descriptor.rawValue)
        if index >= entries.count {
            entries.append(contentsOf: repeatElement(.none, count: Swift.max(index + 1, 64) - entries.count))
        }
        if entries[index].interest.isEmpty { count += 1 }
        entries[index] = entry
    }

    /// Changes the position of a registration.
    package func move(_ number: CInt, to position: Int) {
        guard let index = index(of: number) else { return }
        entries[index].position = UInt32(position)
    }

    /// Removes a registration and returns it. Throws `ENOENT` if there is none.
    @discardableResult package func remove(_ descriptor: FileDescriptor) throws(Errno) -> Entry {
        if isClosed { throw .badFileDescriptor }
        guard let index = index(of: descriptor.rawValue) else { throw .noSuchFileOrDirectory }
        let entry = entries[index]
        entries[index] = .none
        count -= 1
        return entry
    }

    /// Removes all registrations. Returns `false` if it was closed before.
    package func close() -> Bool {
        guard !isClosed else { return false }
        isClosed = true
        entries = []
        count = 0
        return true
    }
}
