import AsyncIO
import AsyncIOSystem
import SystemPackage

/// How a loop over real descriptors waits in virtual time. ``VirtualTimeSelector`` and ``VirtualTimeProactor`` document
/// it, and pass their waits to it.
///
/// - Thread: the loop's.
package final class VirtualWaits {
    /// The number of waits, which is the number of iterations.
    package private(set) var count = 0
    /// The order of events, by descriptor. Descriptors without a rank come first, because they belong to the loop
    /// itself.
    package var rank: [CInt: Int] = [:]
    /// Called when nothing is ready and the deadline has not passed. Returns whether it did something, so that the
    /// loop polls again.
    package var fellAsleep: () -> Bool = { false }
    /// Called instead of a wait without a deadline.
    package var nothingLeft: (() -> Void)?

    /// Waits in `poller` until there are events, or until `clock` has reached the deadline.
    ///
    /// - Parameter descriptor: Returns the descriptor of an event.
    func wait<Back: Poller>(
        in poller: Back, _ clock: VirtualClock, timeoutNanoseconds: Int64?, into events: inout [Back.Event],
        descriptor: (Back.Event) -> CInt?
    ) throws(Errno) {
        count += 1
        let deadline = timeoutNanoseconds.map { clock.now.nanoseconds + max(0, $0) }
        while true {
            try poller.wait(timeoutNanoseconds: 0, into: &events)
            if !events.isEmpty { return sort(&events, by: descriptor) }
            if let deadline, clock.now.nanoseconds >= deadline { return }
            if fellAsleep() { continue }
            if deadline == nil, nothingLeft == nil {
                try poller.wait(timeoutNanoseconds: nil, into: &events)
                continue
            }
            try poller.wait(timeoutNanoseconds: clock.settlingTime.wholeNanoseconds, into: &events)
            if !events.isEmpty { return sort(&events, by: descriptor) }
            guard let deadline else {
                nothingLeft?()
                return
            }
            clock.advance(by: .nanoseconds(deadline - clock.now.nanoseconds))
        }
    }

    /// Sorts events in the order of ``rank``, because the kernel decides which of two ready descriptors comes first.
    private func sort<Event>(_ events: inout [Event], by descriptor: (Event) -> CInt?) {
        if rank.isEmpty { return }
        func position(_ event: Event) -> Int { descriptor(event).flatMap { rank[$0] } ?? -1 }
        events.sort { position($0) < position($1) }
    }
}
