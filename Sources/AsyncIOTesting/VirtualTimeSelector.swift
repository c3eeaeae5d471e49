import AsyncIO
public import Selectors
public import SystemPackage

/// A selector over real descriptors that does not wait for timers: when nothing is ready, it moves the clock instead.
///
/// ```swift
/// let clock = VirtualClock()
/// let selector = VirtualTimeSelector(try EpollSelector(), clock: clock)
/// let loop = try SelectorEventLoop(selector: selector, clock: clock)
/// ```
///
/// ``VirtualTimeLoop`` is this loop, and `withVirtualTimeLoop` runs a test on it.
///
/// A wait returns as soon as a descriptor is ready. If none becomes ready within ``settlingTime``, the clock moves to
/// the deadline of the wait, which is the loop's next timer. Without a timer the selector waits for descriptors and
/// other threads as the wrapped selector does.
///
/// - Thread: the loop's, like every selector.
public final class VirtualTimeSelector: BaseSelector {
    /// How long, in real time, no descriptor may be ready before the clock advances.
    ///
    /// Bytes that one socket of the loop sends to another usually arrive at once, but the kernel does not guarantee it.
    /// A test whose timers race with other threads or processes sets a longer time, so that they come first. With zero,
    /// a test that has only timers takes no real time.
    public var settlingTime = Duration.milliseconds(1)

    private let selector: any BaseSelector
    private let clock: VirtualClock
    private var descriptors: [UInt64: CInt] = [:]
    /// The order of events, by descriptor. Descriptors without a rank come first, because they belong to the loop
    /// itself.
    package var rank: [CInt: Int] = [:]
    /// The number of waits, which is the number of iterations.
    package private(set) var waits = 0
    /// Called when nothing is ready and the deadline has not passed. Returns whether it did something, so that the
    /// selector polls again.
    package var fellAsleep: () -> Bool = { false }
    /// Called instead of a wait without a deadline.
    package var nothingLeft: (() -> Void)?

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
        waits += 1
        let deadline = timeoutNanoseconds.map { clock.now.nanoseconds + max(0, $0) }
        while true {
            try selector.wait(timeoutNanoseconds: 0, into: &events)
            if !events.isEmpty { return sort(&events) }
            if let deadline, clock.now.nanoseconds >= deadline { return }
            if fellAsleep() { continue }
            if let deadline {
                try selector.wait(timeoutNanoseconds: settlingTime.wholeNanoseconds, into: &events)
                if !events.isEmpty { return sort(&events) }
                clock.advance(by: .nanoseconds(deadline - clock.now.nanoseconds))
            } else if let nothingLeft {
                return nothingLeft()
            } else {
                try selector.wait(timeoutNanoseconds: nil, into: &events)
            }
        }
    }

    public func close() {
        selector.close()
    }

    /// Sorts events in the order of ``rank``, because the kernel decides which of two ready descriptors comes first.
    private func sort(_ events: inout [ReadyEvent]) {
        if rank.isEmpty { return }
        events.sort { position($0) < position($1) }
    }

    private func position(_ event: ReadyEvent) -> Int {
        descriptors[event.token].flatMap { rank[$0] } ?? -1
    }
}
