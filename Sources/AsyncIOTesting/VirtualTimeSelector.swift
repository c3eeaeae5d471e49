import AsyncIO
public import Selectors
public import SystemPackage

/// A selector over real descriptors that does not wait for timers: when nothing is ready, it moves the clock instead.
///
/// ```swift
/// let clock = VirtualClock()
/// let selector = VirtualTimeSelector(MySelector(), clock: clock)
/// let loop = try SelectorEventLoop(selector: selector, clock: clock)
/// ```
///
/// `withVirtualTimeLoop` runs a test on such a loop.
///
/// A wait returns as soon as a descriptor is ready. If none becomes ready within ``VirtualClock/settlingTime``, the
/// clock moves to the deadline of the wait, which is the loop's next timer. Without a timer the selector waits for
/// descriptors and other threads as the wrapped selector does.
///
/// - Thread: the loop's, like every selector.
public final class VirtualTimeSelector: BaseSelector {
    private let selector: any BaseSelector
    let clock: VirtualClock
    private var descriptors: [UInt64: CInt] = [:]

    /// Creates a selector around `selector`, which it owns from then on. The loop must have the same clock.
    public init(_ selector: any BaseSelector, clock: VirtualClock) {
        (self.selector, self.clock) = (selector, clock)
    }

    public var supportsEdgeTrigger: Bool { selector.supportsEdgeTrigger }

    public var closedDescriptorHandler: ((FileDescriptor) -> Void)? {
        get { selector.closedDescriptorHandler }
        set { selector.closedDescriptorHandler = newValue }
    }

    public func isStale(_ descriptor: FileDescriptor) -> Bool { selector.isStale(descriptor) }

    public var descriptorLimit: Int? { selector.descriptorLimit }

    public func register(
        _ descriptor: FileDescriptor, interest: Interest, trigger: Trigger, token: UInt64
    ) throws(Errno) {
        try selector.register(descriptor, interest: interest, trigger: trigger, token: token)
        descriptors[token] = descriptor.rawValue
    }

    public func modify(
        _ descriptor: FileDescriptor, interest: Interest, trigger: Trigger, token: UInt64
    ) throws(Errno) {
        try selector.modify(descriptor, interest: interest, trigger: trigger, token: token)
        descriptors[token] = descriptor.rawValue
    }

    public func unregister(_ descriptor: FileDescriptor) throws(Errno) {
        try selector.unregister(descriptor)
    }

    public func wait(timeoutNanoseconds: Int64?, into events: inout [ReadyEvent]) throws(Errno) {
        try clock.waits.wait(in: selector, clock, timeoutNanoseconds: timeoutNanoseconds, into: &events) {
            descriptors[$0.token]
        }
    }

    public func close() {
        selector.close()
    }
}
