public import AsyncIOSystem

/// A callback that is called again and again, until it is cancelled. asyncio has none.
///
/// The loop holds it, so the reference need not be kept; nor does the reference keep the loop: on a loop that is closed or
/// gone, the timer is at its end. Not `Sendable`: the loop's thread only.
public final class RepeatingTimer {
    private var nextDeadline: LoopInstant
    /// The time from one call's deadline to the next one's.
    public let interval: Duration

    /// Freed with the cancelling.
    private var body: ((RepeatingTimer) throws -> Void)?
    let site: CallSite
    /// `nil` at its end. The loop takes itself away when it drops its callbacks.
    private(set) unowned var loop: EventLoop?
    /// `nil` within a call.
    private var name: SlotName?

    init(
        loop: EventLoop?, deadline: LoopInstant, interval: Duration, site: CallSite,
        _ body: @escaping (RepeatingTimer) throws -> Void
    ) {
        self.loop = loop
        nextDeadline = deadline
        self.interval = interval
        self.site = site
        guard let loop else { return }
        self.body = body
        name = loop.schedule(ScheduledCallback(self, site: site), at: deadline)
    }

    /// When the next call is due; within a call, when that one was.
    /// - Thread: the loop's.
    public var deadline: LoopInstant {
        loop?.requireOnLoop("RepeatingTimer.deadline")
        return nextDeadline
    }

    /// Whether it will be called again.
    /// - Thread: the loop's.
    public var isActive: Bool {
        loop?.requireOnLoop("RepeatingTimer.isActive")
        return loop != nil
    }

    /// Cancels all further calls and releases the closure. It may be called within a call.
    ///
    /// - Returns: Whether it prevented a call: false if the timer was cancelled before, or its loop is closed.
    /// - Thread: the loop's.
    @discardableResult
    public func cancel() -> Bool {
        guard let loop else { return false }
        loop.requireOnLoop("RepeatingTimer.cancel")
        unschedule(on: loop)
        ended()
        return true
    }

    /// Moves the next call to `deadline`; the later ones follow in the same rhythm. Nothing happens after its end.
    public func reschedule(at deadline: LoopInstant) {
        guard let loop else { return }
        loop.requireOnLoop("RepeatingTimer.reschedule")
        unschedule(on: loop)
        nextDeadline = deadline
        name = loop.schedule(ScheduledCallback(self, site: site), at: deadline)
    }

    /// Moves the next call to one interval from now, so a timer that is restarted in time never calls.
    public func restart() {
        guard let loop else { return }
        reschedule(at: loop.now.advanced(by: interval))
    }

    /// Its turn.
    func fire() {
        name = nil
        guard let loop, let body else { return }
        loop.callReporting(site) { try body(self) }
        // It may have cancelled or rescheduled itself.
        guard isActive, name == nil else { return }
        nextDeadline = Self.next(after: nextDeadline, interval: interval, now: loop.now)
        name = loop.schedule(ScheduledCallback(self, site: site), at: nextDeadline)
    }

    /// The loop has dropped it, or it was cancelled. Releases the closure.
    func ended() {
        let body = detach()
        // Last: the user's code may run when it is released.
        withExtendedLifetime(body) {}
    }

    /// Leaves the loop without releasing the closure, which is returned.
    fileprivate func detach() -> ((RepeatingTimer) throws -> Void)? {
        loop = nil
        name = nil
        return body.take()
    }

    private func unschedule(on loop: EventLoop) {
        if let name = name.take() { loop.cancelCallback(name) }
    }

    /// One interval after the deadline before, whenever that call really came. Deadlines that have passed meanwhile are left
    /// out: a call that took long is not followed by a burst of late ones.
    static func next(after deadline: LoopInstant, interval: Duration, now: LoopInstant) -> LoopInstant {
        let step = max(1, interval.wholeNanoseconds)
        let late = max(0, now.nanoseconds.subtractingSaturating(deadline.nanoseconds))
        let missed = max(0, late - 1) / step
        return LoopInstant(nanoseconds: deadline.nanoseconds + missed * step).advanced(by: .nanoseconds(step))
    }
}

extension EventLoop {
    /// Calls `body` every `interval`, the first time after `delay`, by default one interval. asyncio has no such call.
    ///
    /// The rhythm does not drift: each deadline is an interval after the one before, however late that call came. Deadlines
    /// that pass during a slow call are left out. `body` gets the timer, to cancel it or to move its next call; an error
    /// that it throws is reported and ends nothing. An interval of zero or less means every tick. The loop's thread; on a
    /// closed loop nothing is scheduled and the timer is at its end.
    @discardableResult
    public final func callRepeatedly(
        every interval: Duration, after delay: Duration? = nil, fileID: StaticString = #fileID, line: UInt = #line,
        _ body: @escaping (RepeatingTimer) throws -> Void
    ) -> RepeatingTimer {
        requireOnLoop("callRepeatedly")
        if isClosed { reportUseAfterClose("callRepeatedly") }
        return RepeatingTimer(
            loop: isClosed ? nil : self, deadline: now.advanced(by: delay ?? interval), interval: interval,
            site: CallSite(fileID: fileID, line: line), body)
    }

    /// Drops what waits, uncalled.
    final func dropCallbacks() {
        let names = core.pointee.callbacks.names
        // All timers leave the loop before the first closure is released, since what it captured may cancel another timer, and
        // in the loop's `deinit` there is no loop any more.
        let bodies = names.compactMap { name in
            core.pointee.callbacks[name]?.pointee.repeatingTimer?.detach()
        }
        for name in names { _ = core.pointee.callbacks.remove(name) }
        withExtendedLifetime(bodies) {}
    }
}

@available(*, unavailable, message: "a repeating timer belongs to its loop; use it in callbacks and tasks of the loop")
extension RepeatingTimer: Sendable {}

extension RepeatingTimer: CustomStringConvertible {
    /// Such as `<RepeatingTimer every 1.000 s, in 0.200 s, scheduled at App/main.swift:7>`.
    public var description: String {
        var text = "<RepeatingTimer every \(interval.inSeconds) s"
        if let loop { text += ", \(nextDeadline.remaining(on: loop))" } else { text += ", cancelled" }
        return text + ", scheduled at \(site)>"
    }
}

extension ScheduledCallback {
    init(_ timer: RepeatingTimer, site: CallSite) {
        // The closure retains the timer.
        body = { timer.fire() }
        bits = UInt64(UInt(bitPattern: Unmanaged.passUnretained(timer).toOpaque())) | Self.timerBit
        self.site = site
    }

    var repeatingTimer: RepeatingTimer? {
        guard body != nil, let address = UnsafeRawPointer(bitPattern: UInt(bits & ~Self.timerBit)) else { return nil }
        // SAFETY: the body retains it.
        return Unmanaged<RepeatingTimer>.fromOpaque(address).takeUnretainedValue()
    }
}
