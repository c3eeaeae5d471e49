import AsyncIO
public import AsyncIOSystem
import Selectors
import SystemPackage

/// The waits of ``ScriptedSelector`` and ``ScriptedProactor``, which take no real time if the loop has a virtual clock.
///
/// When the loop would wait, the first of these that is possible happens, and the wait returns:
/// 1. events that the test has reported, and those of real descriptors, are delivered;
/// 2. the next step of the script runs (``whenIdle(_:)``);
/// 3. the clock moves to the loop's next timer, if no real descriptor becomes ready within
///    ``VirtualClock/settlingTime``;
/// 4. if there is no timer, only another thread can continue. The loop waits for that thread's wake-up, but no longer
///    than ``patience``. Then the wait fails with `EDEADLK`, which ends the run, so that a test never hangs.
///
/// Without a virtual clock, steps 3 and 4 are replaced by a wait in real time.
///
/// - Thread: the loop's, as for every selector and proactor.
public class ScriptedPoller {
    /// The number of waits after which the loop is assumed never to end.
    private static let mostWaits = 1_000_000

    /// The clock of the loop; `nil` for the system's.
    let virtualClock: VirtualClock?
    /// The time-outs of all waits so far, in nanoseconds; `nil` for a wait without a limit.
    public private(set) var waits: [Int64?] = []
    /// How long another thread may take, in real time. It may be one of the thread pool, which other tests use too.
    public var patience = Duration.seconds(60)

    private var steps: [() -> Void] = []
    /// The selector that watches what is not scripted: real descriptors, and the loop's waker, because other threads
    /// are real.
    private(set) final var system: (any BaseSelector)?
    private(set) final var waker: FileDescriptor?
    /// The number of real descriptors that are watched, not counting the waker.
    final var realDescriptors = 0

    /// The descriptors of scripted peers.
    private var scripted: [FileDescriptor: OpenFile] = [:]

    /// The pool of a proactor.
    public final var buffers = BufferPool()

    init(clock: VirtualClock?) {
        virtualClock = clock
    }

    /// Lets the test script what happens on `descriptor`, until it is closed.
    final func script(_ descriptor: FileDescriptor) {
        scripted[descriptor] = OpenFile(descriptor)
    }

    final func isScripted(_ descriptor: FileDescriptor) -> Bool {
        guard let file = scripted[descriptor] else { return false }
        if !file.wasClosed { return true }
        // The number may belong to another file by now.
        scripted[descriptor] = nil
        return false
    }

    /// The loop's clock, if it is virtual; traps otherwise.
    public final var clock: VirtualClock {
        guard let virtualClock else { preconditionFailure("this \(type(of: self)) has no virtual clock") }
        return virtualClock
    }

    /// Runs `step` when the loop would wait, has nothing else to do, and all earlier steps have run. Each wait runs one
    /// step.
    public final func whenIdle(_ step: @escaping () -> Void) {
        steps.append(step)
    }

    /// Frees the kernel's resources.
    public func close() {
        system?.close()
        system = nil
        // Steps that were not run are released after the list was emptied, because releasing what they captured may add
        // one.
        let dropped = steps
        steps = []
        withExtendedLifetime(dropped) {}
    }

    /// Returns the selector of what is not scripted.
    final func openSystem() throws(Errno) -> any BaseSelector {
        guard let system else { throw .badFileDescriptor }
        return system
    }

    /// Watches the loop's waker, which is the first descriptor that a loop watches.
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
            // Bytes that one socket of the loop sends to another usually arrive at once, but the kernel does not
            // promise that.
            let late = realDescriptors > 0 ? try poll(for: virtualClock.settlingTime.wholeNanoseconds) : []
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
