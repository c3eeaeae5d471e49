#if os(macOS) || os(FreeBSD) || os(OpenBSD)
import AsyncIOSystem
import CAsyncIO
public import SystemPackage

/// A selector that waits with kqueue(2), for macOS and the BSDs.
///
/// The kernel removes the registrations (knotes) of a descriptor when it is closed, even if a duplicate is open,
/// because they belong to the descriptor and not to the open file. So there is no case in which a set must be replaced,
/// as in ``EpollSelector``. The kernel has one filter for each direction of a descriptor; this selector merges their
/// events.
///
/// - Thread: the loop's.
public final class KqueueSelector: KeyedSelector {
    /// The most events that one wait returns. The next wait returns the others.
    private static let eventsPerWait = 512

    private var kqueue: CInt
    /// The count of forks in the process that created it. A child does not inherit a kqueue, and may use its number for
    /// another file.
    private let forks: UInt32
    private let buffer: UnsafeMutablePointer<kevent>
    /// The current registrations.
    public let keys = SelectorKeys()

    /// Creates a selector with a kqueue of its own. Throws `EMFILE`, `ENFILE` or `ENOMEM`, as kqueue(2) does.
    public init() throws(Errno) {
        aio_install_fork_handler()
        forks = aio_fork_count()
        let result = aio_kqueue_create()
        if result < 0 { throw Errno(rawValue: -result) }
        kqueue = result
        buffer = .allocate(capacity: Self.eventsPerWait)
    }

    deinit {
        close()
        buffer.deallocate()
    }

    /// The kqueue's own descriptor, which another poller can watch. It is -1 after `close()`.
    public var descriptor: FileDescriptor { FileDescriptor(rawValue: kqueue) }

    public var supportsEdgeTrigger: Bool { true }

    public func register(
        _ descriptor: FileDescriptor, interest: Interest, trigger: Trigger, token: UInt64
    ) throws(Errno) {
        try keys.checkRegister(descriptor, interest)
        do {
            try change(descriptor.rawValue, from: [], to: interest, trigger)
        } catch {
            // One of the two filters may have been added.
            remove(descriptor.rawValue, interest)
            throw error
        }
        keys.set(
            descriptor,
            SelectorKeys.Entry(token: token, interest: interest, trigger: trigger))
    }

    public func modify(
        _ descriptor: FileDescriptor, interest: Interest, trigger: Trigger, token: UInt64
    ) throws(Errno) {
        var entry = try keys.checkModify(descriptor, interest)
        if entry.interest != interest || entry.trigger != trigger {
            do {
                // Not every system changes EV_CLEAR of an existing filter when it is added again.
                let kept = entry.trigger == trigger ? entry.interest : []
                if kept.isEmpty { remove(descriptor.rawValue, entry.interest) }
                try change(descriptor.rawValue, from: kept, to: interest, trigger)
            } catch {
                // After half a change, the registration would be neither the old nor the new one.
                remove(descriptor.rawValue, [.read, .write])
                _ = try? keys.remove(descriptor)
                throw error
            }
        }
        entry.token = token
        entry.interest = interest
        entry.trigger = trigger
        keys.set(descriptor, entry)
    }

    public func unregister(_ descriptor: FileDescriptor) throws(Errno) {
        // It fails if the descriptor was closed before, when the kernel has removed its filters already.
        remove(descriptor.rawValue, try keys.remove(descriptor).interest)
    }

    public func wait(timeoutNanoseconds: Int64?, into events: inout [ReadyEvent]) throws(Errno) {
        try keys.checkOpen()
        if !isOurs { throw .badFileDescriptor }
        var time = WaitTime(timeoutNanoseconds)
        while true {
            let count = aio_kqueue_wait(kqueue, buffer, CInt(Self.eventsPerWait), time.nanoseconds)
            if count >= 0 { return append(Int(count), to: &events) }
            guard count == -Errno.interrupted.rawValue else { throw Errno(rawValue: -count) }
            time.wasInterrupted()
        }
    }

    public func close() {
        guard keys.close() else { return }
        if isOurs { Socket(number: kqueue).close() }
        kqueue = -1
    }

    /// Whether this process created the kqueue, not its parent.
    private var isOurs: Bool { forks == aio_fork_count() }

    private func append(_ count: Int, to events: inout [ReadyEvent]) {
        let first = events.count
        for index in 0..<count {
            let event = buffer + index
            let number = aio_kqueue_event_fd(event)
            guard let entry = keys.entry(of: number) else { continue }
            var readiness: Readiness = aio_kqueue_event_writes(event) ? .write : .read
            if aio_kqueue_event_hangs_up(event) {
                readiness.formUnion(Readiness(entry.interest))
                readiness.insert(.hangup)
            }
            // The entry's position is the index of the descriptor's event in this wait, if it has one. It may be from
            // an earlier wait, so the token is compared.
            let position = first + Int(entry.position)
            if position < events.count, events[position].token == entry.token {
                events[position].readiness.formUnion(readiness)
            } else {
                keys.move(number, to: events.count - first)
                events.append(ReadyEvent(token: entry.token, readiness: readiness))
            }
        }
    }

    private func change(
        _ number: CInt, from former: Interest, to interest: Interest, _ trigger: Trigger
    ) throws(Errno) {
        if !isOurs { throw .badFileDescriptor }
        for direction in [Interest.read, .write] {
            if interest.contains(direction), !former.contains(direction) {
                let result = aio_kqueue_add(kqueue, number, direction == .write, trigger == .edge)
                if result < 0 { throw Errno(rawValue: -result) }
            } else if former.contains(direction), !interest.contains(direction) {
                let result = aio_kqueue_remove(kqueue, number, direction == .write)
                if result < 0 { throw Errno(rawValue: -result) }
            }
        }
    }

    private func remove(_ number: CInt, _ interest: Interest) {
        if !isOurs { return }
        if interest.contains(.read) { _ = aio_kqueue_remove(kqueue, number, false) }
        if interest.contains(.write) { _ = aio_kqueue_remove(kqueue, number, true) }
    }
}
#endif
