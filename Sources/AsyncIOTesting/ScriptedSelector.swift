public import Selectors
public import SystemPackage

/// A selector that the test controls: it reports the events that the test passes to it.
///
/// ```swift
/// let clock = VirtualClock()
/// let selector = ScriptedSelector(clock: clock)
/// let loop = try SelectorEventLoop(selector: selector, clock: clock)
/// try loop.addReader(descriptor) { print("readable") }
/// selector.whenIdle { selector.report(descriptor, .read) }
/// ```
///
/// Descriptors need not exist. Only the loop's waker is really watched, unless ``watchesRealDescriptors`` is set.
/// ``ScriptedPoller`` documents how it waits.
public final class ScriptedSelector: ScriptedPoller, BaseSelector {
    /// A registration.
    public struct Registration: Sendable, Hashable {
        public var interest: Interest
        public var trigger: Trigger
        public var token: UInt64
    }

    /// A call by the loop, other than `wait`.
    public enum Call: Sendable, Hashable {
        case register(FileDescriptor, Interest, Trigger)
        case modify(FileDescriptor, Interest, Trigger)
        case unregister(FileDescriptor)
    }

    /// Whether the system watches the descriptors that no ``ScriptedPeer`` owns. Set it before the first of them is
    /// registered.
    public var watchesRealDescriptors = false
    /// The current registrations, without that of the loop's waker.
    public private(set) var registrations: [FileDescriptor: Registration] = [:]
    /// All calls so far, without those for the loop's waker.
    public private(set) var calls: [Call] = []
    /// The error of the next `register` or `modify`.
    public var nextError: Errno?

    private var reported: [ReadyEvent] = []
    /// The readiness that was not reported because the descriptor was not watched for it.
    private var unwatched: [FileDescriptor: Readiness] = [:]

    /// Creates a selector for a loop with the same clock. `nil` means the system's clock, and waits in real time.
    public override init(clock: VirtualClock?) {
        super.init(clock: clock)
    }

    /// Reports to the loop in its next wait that `descriptor` is ready.
    ///
    /// Has no effect if the descriptor is not registered. A direction that it is not watched for is reported when it is
    /// watched for it.
    public func report(_ descriptor: FileDescriptor, _ readiness: Readiness) {
        guard let registration = registrations[descriptor] else { return }
        let ignored = Readiness([.read, .write]).subtracting(Readiness(registration.interest))
        unwatched[descriptor, default: []].formUnion(readiness.intersection(ignored))
        let readiness = readiness.subtracting(ignored)
        if readiness.isEmpty { return }
        // Both directions of one descriptor are one event.
        if let index = reported.firstIndex(where: { $0.token == registration.token }) {
            reported[index].readiness.formUnion(readiness)
        } else {
            report(ReadyEvent(token: registration.token, readiness: readiness))
        }
    }

    /// Reports an event as it is, even of a registration that has ended.
    public func report(_ event: ReadyEvent) {
        reported.append(event)
    }

    public var supportsEdgeTrigger: Bool { true }

    public func isStale(_ descriptor: FileDescriptor) -> Bool {
        isReal(descriptor) && system?.isStale(descriptor) == true
    }

    private func isReal(_ descriptor: FileDescriptor) -> Bool {
        watchesRealDescriptors && !isScripted(descriptor)
    }

    public func register(
        _ descriptor: FileDescriptor, interest: Interest, trigger: Trigger, token: UInt64
    ) throws(Errno) {
        if waker == nil { return try watchWaker(descriptor, token: token) }
        calls.append(.register(descriptor, interest, trigger))
        if let error = nextError.take() { throw error }
        if isReal(descriptor) {
            try openSystem().register(descriptor, interest: interest, trigger: trigger, token: token)
            realDescriptors += 1
        } else {
            if interest.isEmpty { throw .invalidArgument }
            if registrations[descriptor] != nil { throw .fileExists }
        }
        registrations[descriptor] = Registration(interest: interest, trigger: trigger, token: token)
    }

    public func modify(
        _ descriptor: FileDescriptor, interest: Interest, trigger: Trigger, token: UInt64
    ) throws(Errno) {
        calls.append(.modify(descriptor, interest, trigger))
        if let error = nextError.take() { throw error }
        if registrations[descriptor] == nil { throw .noSuchFileOrDirectory }
        if isReal(descriptor) {
            do {
                try openSystem().modify(descriptor, interest: interest, trigger: trigger, token: token)
            } catch {
                forget(descriptor)
                throw error
            }
        }
        registrations[descriptor] = Registration(interest: interest, trigger: trigger, token: token)
        if let readiness = unwatched.removeValue(forKey: descriptor) { report(descriptor, readiness) }
    }

    public func unregister(_ descriptor: FileDescriptor) throws(Errno) {
        if descriptor == waker { return }
        calls.append(.unregister(descriptor))
        unwatched[descriptor] = nil
        guard let registration = forget(descriptor) else { throw .noSuchFileOrDirectory }
        reported.removeAll { $0.token == registration.token }
        if isReal(descriptor) { try openSystem().unregister(descriptor) }
    }

    @discardableResult private func forget(_ descriptor: FileDescriptor) -> Registration? {
        guard let registration = registrations.removeValue(forKey: descriptor) else { return nil }
        if isReal(descriptor) { realDescriptors -= 1 }
        return registration
    }

    public func wait(timeoutNanoseconds: Int64?, into events: inout [ReadyEvent]) throws(Errno) {
        events += try waitForEvents(timeoutNanoseconds: timeoutNanoseconds, hasEvents: !reported.isEmpty)
        events += reported
        reported.removeAll()
    }
}
