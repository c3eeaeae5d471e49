import AsyncIO
import Selectors
import SystemPackage

/// How ``ScriptedSelector`` and ``ScriptedProactor`` wait: with a virtual clock never for the time that passes outside.
///
/// When the loop would wait, the first of these that is possible happens, and the wait returns:
/// 1. events that the test has reported, and those of real descriptors, are delivered;
/// 2. the next step of the script runs (``whenIdle(_:)``);
/// 3. the clock moves to the loop's next timer;
/// 4. there is none, so only another thread can go on: its post is waited for, but no longer than ``patience``. Then
///    the wait fails with `EDEADLK`, which ends the run, so that a test never hangs.
///
/// Without a virtual clock, the third and the fourth are replaced by a wait in real time.
///
/// - Thread: the loop's, as for every selector and proactor.
public class ScriptedPoller {
    /// A loop that waits more often than this does not end.
    private static let mostWaits = 1_000_000
    /// How long, in real time, no real descriptor has to be ready before the clock moves.
    private static let settlingNanoseconds: Int64 = 1_000_000

    /// The clock of the loop; `nil` for the system's.
    let virtualClock: VirtualClock?
    /// The time-outs of all waits so far, in nanoseconds; `nil` is without end.
    public private(set) var waits: [Int64?] = []
    /// How long another thread may take, in real time: it may be the pool's, which other tests keep busy.
    public var patience = Duration.seconds(60)

    private var steps: [() -> Void] = []
    /// Watches what is not scripted: the loop's waker, since other threads are real, and real descriptors.
    private(set) final var system: (any BaseSelector)?
    private(set) final var waker: FileDescriptor?
    /// How many real descriptors are watched beside the waker.
    final var realDescriptors = 0

    /// The descriptors of scripted peers.
    private var scripted: [FileDescriptor: OpenFile] = [:]

    init(clock: VirtualClock?) {
        virtualClock = clock
    }

    /// The test plays what happens on `descriptor` until it is closed.
    final func script(_ descriptor: FileDescriptor) {
        scripted[descriptor] = OpenFile(descriptor)
    }

    final func isScripted(_ descriptor: FileDescriptor) -> Bool {
        guard let file = scripted[descriptor] else { return false }
        if !file.wasClosed { return true }
        // The number may be another file's by now.
        scripted[descriptor] = nil
        return false
    }

    /// The loop's clock, if it is virtual; traps otherwise.
    public final var clock: VirtualClock {
        guard let virtualClock else { preconditionFailure("this \(type(of: self)) has no virtual clock") }
        return virtualClock
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

    /// Returns the selector of what is not scripted.
    final func openSystem() throws(Errno) -> any BaseSelector {
        guard let system else { throw .badFileDescriptor }
        return system
    }

    /// The first descriptor that a loop watches is its waker's.
    final func watchWaker(_ descriptor: FileDescriptor, token: UInt64) throws(Errno) {
        let selector = try DefaultSelector.make()
        try selector.register(descriptor, interest: .read, trigger: .level, token: token)
        system = selector
        waker = descriptor
    }

    /// Waits as described above and returns the events of what is not scripted.
    final func waitForEvents(timeoutNanoseconds: Int64?, hasEvents: Bool) throws(Errno) -> [ReadyEvent] {
        waits.append(timeoutNanoseconds)
        let ready = try poll(for: 0)
        if !ready.isEmpty || hasEvents || timeoutNanoseconds.map({ $0 <= 0 }) == true { return ready }
        if !steps.isEmpty {
            steps.removeFirst()()
            return []
        }
        guard let virtualClock else { return try poll(for: timeoutNanoseconds) }
        if waits.count > Self.mostWaits { throw .deadlock }
        if let timeoutNanoseconds {
            // What one socket of the loop sends to another is usually there at once, but the kernel does not promise
            // it.
            let late = realDescriptors > 0 ? try poll(for: Self.settlingNanoseconds) : []
            if late.isEmpty { virtualClock.advance(by: .nanoseconds(timeoutNanoseconds)) }
            return late
        }
        let posted = try poll(for: patience.wholeNanoseconds)
        if posted.isEmpty { throw .deadlock }
        return posted
    }

    private final func poll(for nanoseconds: Int64?) throws(Errno) -> [ReadyEvent] {
        var events: [ReadyEvent] = []
        try openSystem().wait(timeoutNanoseconds: nanoseconds, into: &events)
        return events
    }
}
