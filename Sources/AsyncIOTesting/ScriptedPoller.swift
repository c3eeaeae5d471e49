import AsyncIO
import Selectors
import SystemPackage

/// How ``ScriptedSelector`` and ``ScriptedProactor`` wait: never for the time that passes outside.
///
/// When the loop would wait, the next of these happens, and the wait returns:
/// 1. events that the test has told are delivered;
/// 2. the next step of the script runs (``whenIdle(_:)``);
/// 3. the clock moves to the loop's next timer;
/// 4. there is none, so only another thread can go on: its post is waited for, but no longer than ``patience``. Then the
///    wait fails with `EDEADLK`, which ends the run: a test never hangs.
///
/// The loop's thread only, like every selector and proactor.
public class ScriptedPoller {
    /// A loop that waits more often than this goes round in circles.
    private static let mostWaits = 1_000_000

    /// The loop's clock too.
    public let clock: VirtualClock
    /// The time-outs of all waits so far, in nanoseconds; `nil` is without end.
    public private(set) var waits: [Int64?] = []
    /// How long another thread may take, in the time outside: it may be the pool's, which other tests keep busy.
    public var patience = Duration.seconds(60)

    private var steps: [() -> Void] = []
    /// Watches the loop's waker, the only descriptor that is not scripted: other threads are real.
    private var system: (any BaseSelector)?
    private(set) final var waker: FileDescriptor?

    init(clock: VirtualClock) {
        self.clock = clock
    }

    /// Runs `step` when the loop would wait, has nothing else to do, and all earlier steps have run. One step a wait.
    public final func whenIdle(_ step: @escaping () -> Void) {
        steps.append(step)
    }

    /// Frees the kernel's side.
    public func close() {
        system?.close()
        system = nil
        // Steps that were not run are released when the list is empty: what they captured may add one.
        let dropped = steps
        steps = []
        withExtendedLifetime(dropped) {}
    }

    /// The first descriptor that a loop registers is its waker's.
    final func watchWaker(_ descriptor: FileDescriptor) throws(Errno) {
        let selector = try DefaultSelector.make()
        try selector.register(descriptor, interest: .read, trigger: .level, token: 0)
        system = selector
        waker = descriptor
    }

    /// Waits as described above. Whether the waker is readable.
    final func rest(timeoutNanoseconds: Int64?, hasEvents: Bool) throws(Errno) -> Bool {
        waits.append(timeoutNanoseconds)
        if waits.count > Self.mostWaits { throw .deadlock }
        if try wakerIsReadable(within: 0) { return true }
        if hasEvents || timeoutNanoseconds.map({ $0 <= 0 }) == true { return false }
        if !steps.isEmpty {
            steps.removeFirst()()
            return false
        }
        if let timeoutNanoseconds {
            clock.advance(by: .nanoseconds(timeoutNanoseconds))
            return false
        }
        guard try wakerIsReadable(within: patience.wholeNanoseconds) else { throw .deadlock }
        return true
    }

    private final func wakerIsReadable(within nanoseconds: Int64) throws(Errno) -> Bool {
        guard let system else { throw .badFileDescriptor }
        var events: [ReadyEvent] = []
        try system.wait(timeoutNanoseconds: nanoseconds, into: &events)
        return !events.isEmpty
    }
}
