public import AsyncIOSystem

/// A callback that is called at regular intervals until it is cancelled. asyncio has no counterpart.
///
/// The loop retains the timer, so the program need not. The timer does not retain the loop: when the loop is closed or
/// released, the timer is cancelled. It is not `Sendable`, and may only be used on the loop's thread.
public final class RepeatingTimer {
    private var nextDeadline: LoopInstant
    /// The time between the deadlines of two consecutive calls.
    public let interval: Duration

    /// Released when the timer is cancelled.
    private var body: ((RepeatingTimer) throws -> Void)?
    let site: CallSite
    /// `nil` when the timer is cancelled. The loop resets it when it discards its callbacks.
    private(set) unowned var loop: EventLoop?
    /// `nil` during a call.
    private var id: SlotID?

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
        id = loop.schedule(ScheduledCallback(self, site: site), at: deadline)
    }

    /// The instant at which the next call is due; during a call, the instant at which that call was due.
    ///
    /// - Thread: the loop's.
    public var deadline: LoopInstant {
        loop?.requireOnLoop("RepeatingTimer.deadline")
        return nextDeadline
    }

    /// Whether the timer is still active: not cancelled, and its loop not closed.
    ///
    /// - Thread: the loop's.
    public var isActive: Bool {
        loop?.requireOnLoop("RepeatingTimer.isActive")
        return loop != nil
    }

    /// Cancels all further calls and releases the closure. The timer's own callback may call it.
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

    /// Moves the next call to `deadline`; the later calls follow at the same interval. No effect on a cancelled timer.
    ///
    /// - Thread: the loop's.
    public func reschedule(at deadline: LoopInstant) {
        guard let loop else { return }
        loop.requireOnLoop("RepeatingTimer.reschedule")
        unschedule(on: loop)
        nextDeadline = deadline
        id = loop.schedule(ScheduledCallback(self, site: site), at: deadline)
    }

    /// Moves the next call to one interval from now. A timer that is restarted within each interval is never called.
    ///
    /// - Thread: the loop's.
    public func restart() {
        guard let loop else { return }
        reschedule(at: loop.now.advanced(by: interval))
    }

    /// Calls the closure and schedules the next call.
    func fire() {
        id = nil
        guard let loop, let body else { return }
        loop.callReporting(site) { try body(self) }
        // The closure may have cancelled or rescheduled the timer.
        guard isActive, id == nil else { return }
        nextDeadline = Self.next(after: nextDeadline, interval: interval, now: loop.now)
        id = loop.schedule(ScheduledCallback(self, site: site), at: nextDeadline)
    }

    /// Releases the closure after the loop has discarded the timer, or after a cancellation.
    func ended() {
        let body = detach()
        // Last, because releasing the closure may run code of the user.
        withExtendedLifetime(body) {}
    }

    /// Removes the timer from its loop and returns the closure without releasing it.
    fileprivate func detach() -> ((RepeatingTimer) throws -> Void)? {
        loop = nil
        id = nil
        return body.take()
    }

    private func unschedule(on loop: EventLoop) {
        if let id = id.take() { loop.cancelCallback(id) }
    }

    /// Returns the deadline one interval after `deadline`, however late that call ran. Deadlines that have passed
    /// meanwhile are skipped, so a slow call is not followed by a burst of late ones.
    static func next(after deadline: LoopInstant, interval: Duration, now: LoopInstant) -> LoopInstant {
        let step = max(1, interval.wholeNanoseconds)
        let late = max(0, now.nanoseconds.subtractingSaturating(deadline.nanoseconds))
        let missed = max(0, late - 1) / step
        return LoopInstant(nanoseconds: deadline.nanoseconds + missed * step).advanced(by: .nanoseconds(step))
    }
}

extension EventLoop {
    /// Calls `body` every `interval`. The first call comes after `delay`, by default one interval. asyncio has no such
    /// function.
    ///
    /// The deadlines do not drift: each is one interval after the one before, however late that call ran. Deadlines
    /// that pass during a slow call are skipped. `body` gets the timer, so that it can cancel or reschedule it. An
    /// error that `body` throws is reported and does not cancel the timer. An interval of zero or less means every
    /// iteration. On a closed loop nothing is scheduled and the timer is cancelled.
    ///
    /// - Thread: the loop's.
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

    /// Discards all callbacks and timers without calling them.
    final func dropCallbacks() {
        let ids = core.pointee.callbacks.ids
        // All timers are removed from the loop before the first closure is released, because releasing it may cancel
        // another timer, and because the loop no longer exists in its `deinit`.
        let bodies = ids.compactMap { id in
            core.pointee.callbacks[id]?.pointee.repeatingTimer?.detach()
        }
        for id in ids { _ = core.pointee.callbacks.remove(id) }
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
        // SAFETY: the body retains the timer.
        return Unmanaged<RepeatingTimer>.fromOpaque(address).takeUnretainedValue()
    }
}
