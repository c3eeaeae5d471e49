public import AsyncIOSystem

/// A callback that is called at regular intervals until it is cancelled. asyncio has no counterpart.
///
/// The loop retains the timer, which is cancelled when the loop is closed or released.
///
/// - Thread: the loop's. The timer is not `Sendable`.
public final class RepeatingTimer: CustomStringConvertible {
    private var nextDeadline: LoopInstant
    /// The time between the deadlines of two consecutive calls.
    public let interval: Duration
    private let site: CallSite
    /// `nil` when the timer is cancelled, as ``body`` is then.
    private unowned var loop: EventLoop?
    private var body: ((RepeatingTimer) throws -> Void)?
    /// `nil` during a call.
    private var id: SlotID?

    fileprivate init(
        deadline: LoopInstant, interval: Duration, site: CallSite, _ body: @escaping (RepeatingTimer) throws -> Void
    ) {
        nextDeadline = deadline
        self.interval = interval
        self.site = site
        self.body = body
    }

    /// The instant at which the next call is due; during a call, the instant at which that call was due.
    public var deadline: LoopInstant {
        loop?.requireOnLoop("RepeatingTimer.deadline")
        return nextDeadline
    }

    /// Whether the timer is still active: not cancelled, and its loop not closed.
    public var isActive: Bool {
        loop?.requireOnLoop("RepeatingTimer.isActive")
        return loop != nil
    }

    /// Cancels all further calls and releases the closure. The timer's own callback may call it. Returns whether it
    /// prevented a call: false if the timer was cancelled before, or its loop is closed.
    @discardableResult public func cancel() -> Bool {
        guard let loop else { return false }
        loop.requireOnLoop("RepeatingTimer.cancel")
        if let id { loop.cancelCallback(id) }
        // The closure is released last, because that may run code of the user.
        withExtendedLifetime(detach()) {}
        return true
    }

    /// Moves the next call to `deadline`; the later calls follow at the same interval. No effect on a cancelled timer.
    public func reschedule(at deadline: LoopInstant) {
        guard let loop else { return }
        loop.requireOnLoop("RepeatingTimer.reschedule")
        if let id { loop.cancelCallback(id) }
        schedule(on: loop, at: deadline)
    }

    /// Moves the next call to one interval from now. A timer that is restarted within each interval is never called.
    public func restart() { if let loop { reschedule(at: loop.now.advanced(by: interval)) } }

    fileprivate func schedule(on loop: EventLoop, at deadline: LoopInstant) {
        self.loop = loop
        nextDeadline = deadline
        id = loop.schedule(ScheduledCallback(self, site: site), at: deadline)
    }

    fileprivate func fire() {
        id = nil
        guard let loop, let body else { return }
        loop.callReporting(site) { try body(self) }
        guard isActive, id == nil else { return }
        schedule(on: loop, at: Self.next(after: nextDeadline, interval: interval, now: loop.now))
    }

    /// Removes the timer from its loop. Returns the closure, which the caller releases.
    fileprivate func detach() -> ((RepeatingTimer) throws -> Void)? {
        (loop, id) = (nil, nil)
        return body.take()
    }

    /// Returns the deadline one interval after `deadline`, however late that call ran. Deadlines that have passed
    /// meanwhile are skipped, so a slow call is not followed by a burst of late ones.
    static func next(after deadline: LoopInstant, interval: Duration, now: LoopInstant) -> LoopInstant {
        let step = max(1, interval.wholeNanoseconds)
        let late = max(0, now.nanoseconds.subtractingSaturating(deadline.nanoseconds))
        let missed = max(0, late - 1) / step
        return LoopInstant(nanoseconds: deadline.nanoseconds + missed * step).advanced(by: .nanoseconds(step))
    }

    /// Such as `<RepeatingTimer every 1.000 s, in 0.200 s, scheduled at App/main.swift:7>`.
    public var description: String {
        let state = loop.map { nextDeadline.remaining(on: $0) } ?? "cancelled"
        return "<RepeatingTimer every \(interval.inSeconds) s, \(state), scheduled at \(site)>"
    }
}

extension EventLoop {
    /// Calls `body` every `interval`, first after `delay`, by default one interval. asyncio has no such function.
    ///
    /// The deadlines do not drift: each is one interval after the one before, however late that call ran, but deadlines
    /// that pass during a slow call are skipped. `body` may cancel or reschedule the timer, which it gets. An error
    /// that `body` throws is reported and does not cancel the timer. An interval of zero or less means every iteration.
    /// On a closed loop nothing is scheduled and the timer is cancelled.
    @discardableResult
    public final func callRepeatedly(
        every interval: Duration, after delay: Duration? = nil, fileID: StaticString = #fileID, line: UInt = #line,
        _ body: @escaping (RepeatingTimer) throws -> Void
    ) -> RepeatingTimer {
        requireOnLoop("callRepeatedly")
        let deadline = now.advanced(by: delay ?? interval)
        let site = CallSite(fileID: fileID, line: line)
        let timer = RepeatingTimer(deadline: deadline, interval: interval, site: site, body)
        if isClosed {
            reportUseAfterClose("callRepeatedly")
            _ = timer.detach()
        } else {
            timer.schedule(on: self, at: deadline)
        }
        return timer
    }

    /// Discards all callbacks and timers without calling them.
    final func dropCallbacks() {
        let ids = core.pointee.callbacks.ids
        // All timers are removed from the loop before the first closure is released, because releasing it may cancel
        // another timer, and because the loop no longer exists in its `deinit`.
        let bodies = ids.compactMap { core.pointee.callbacks[$0]?.pointee.repeatingTimer?.detach() }
        for id in ids { _ = core.pointee.callbacks.remove(id) }
        withExtendedLifetime(bodies) {}
    }
}

@available(*, unavailable, message: "a repeating timer belongs to its loop; use it in callbacks and tasks of the loop")
extension RepeatingTimer: Sendable {}

extension ScheduledCallback {
    fileprivate init(_ timer: RepeatingTimer, site: CallSite) {
        // The closure retains the timer.
        body = { timer.fire() }
        bits = UInt64(UInt(bitPattern: Unmanaged.passUnretained(timer).toOpaque())) | Self.timerBit
        self.site = site
    }

    var repeatingTimer: RepeatingTimer? {
        guard body != nil, let address = UnsafeRawPointer(bitPattern: UInt(bits & ~Self.timerBit)) else { return nil }
        // SAFETY: the body retains the timer.
        return Unmanaged<RepeatingTimer>.fromOpaque(address).takeUnretainedValue()
    }
}
