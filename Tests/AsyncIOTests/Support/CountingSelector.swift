import AsyncIO
import AsyncIOSystem
import Selectors
import SystemPackage

/// A loop in real time whose waits are counted.
final class CountingLoop: SelectorEventLoop, @unchecked Sendable {
    let counter: CountingSelector

    convenience init() throws {
        try self.init(DefaultSelector.make())
    }

    init(_ selector: any BaseSelector) throws {
        counter = CountingSelector(selector)
        try super.init(selector: counter)
    }
}

/// Forwards everything to another selector, counts waits and changes, and fails on request.
final class CountingSelector: BaseSelector {
    private let selector: any BaseSelector
    private(set) var waits = 0
    /// The registered descriptors, in order; the loop's waker comes first.
    private(set) var registered: [FileDescriptor] = []
    /// Calls of `register`, `modify` and `unregister`.
    private(set) var changes = 0
    /// The error that the next `register` or `modify` throws.
    var nextChangeError: Errno?
    /// Replaces the selector's own limit.
    var limit: Int?
    /// Called before a registration.
    var willRegister: ((FileDescriptor, Interest) -> Void)?
    /// The number of events for which the loop had memory, at each wait.
    private(set) var eventCapacities: [Int] = []
    /// The error that the next wait throws instead of waiting.
    var nextError: Errno?

    init(_ selector: any BaseSelector) {
        self.selector = selector
    }

    var supportsEdgeTrigger: Bool { selector.supportsEdgeTrigger }

    var descriptorLimit: Int? { limit ?? selector.descriptorLimit }

    func register(_ descriptor: FileDescriptor, interest: Interest, trigger: Trigger, token: UInt64) throws(Errno) {
        changes += 1
        if let error = nextChangeError.take() { throw error }
        willRegister?(descriptor, interest)
        try selector.register(descriptor, interest: interest, trigger: trigger, token: token)
        registered.append(descriptor)
    }

    func modify(_ descriptor: FileDescriptor, interest: Interest, trigger: Trigger, token: UInt64) throws(Errno) {
        changes += 1
        if let error = nextChangeError.take() { throw error }
        try selector.modify(descriptor, interest: interest, trigger: trigger, token: token)
    }

    func unregister(_ descriptor: FileDescriptor) throws(Errno) {
        changes += 1
        try selector.unregister(descriptor)
    }

    func wait(timeoutNanoseconds: Int64?, into events: inout [ReadyEvent]) throws(Errno) {
        waits += 1
        eventCapacities.append(events.capacity)
        if let error = nextError.take() { throw error }
        try selector.wait(timeoutNanoseconds: timeoutNanoseconds, into: &events)
    }

    func close() {
        selector.close()
    }
}
