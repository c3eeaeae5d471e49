#if os(Linux)
import AsyncIOSystem
import CAsyncIO
import Synchronization
public import SystemPackage

/// Waits with epoll(7). Linux.
///
/// The kernel keeps the registrations by *open file*, not by descriptor number. So a descriptor must be unregistered before
/// it is closed: if a duplicate is still open somewhere (in a child, say), closing alone leaves a registration that
/// nobody can remove any more and whose events go on. The loop's transports keep to that order. Where a program does not,
/// the first such event makes the selector replace its epoll set by a new one with all other registrations, which report
/// then what is ready; see ``BaseSelector/closedDescriptorHandler``.
///
/// Nor does a forked child get a copy of the kernel's side: it shares its parent's. So there this selector only frees its own
/// descriptor, and every call that would change or take what is the parent's fails with `EBADF`.
///
/// While one thread is in `wait`, one other may register, modify and unregister: what becomes ready then ends the wait.
public final class EpollSelector: KeyedSelector {
    /// More events than this wait for the next call; nothing is lost.
    private static let eventsPerWait = 512
    /// So many suspects cause a new set without an event: no list here grows without bound.
    private static let mostSuspects = 1_024
    /// Waits between two attempts to create a new set, when the system lets none be created.
    private static let waitsBetweenAttempts = 256
    /// The position of an entry that the kernel does not have: its descriptor was closed.
    private static let unknownToKernel: UInt32 = 1

    private var epoll: CInt
    /// How many forks there were before the process that made it.
    private let forks: UInt32
    private let buffer: UnsafeMutablePointer<epoll_event>
    public let keys = SelectorKeys()
    public var closedDescriptorHandler: ((FileDescriptor) -> Void)?

    /// Protects `keys`, `suspects` and the set itself from the other thread while a new set is made.
    private let lock: UnsafeMutablePointer<pthread_mutex_t>
    /// Registrations that have ended and that the kernel may still have, since their descriptors were closed before.
    private var suspects: [UInt64: FileDescriptor] = [:]
    private let hasSuspects = Atomic<Bool>(false)
    private var waitsUntilAttempt = 0

    public init() throws(Errno) {
        aio_install_fork_handler()
        forks = aio_fork_count()
        let result = aio_epoll_create()
        if result < 0 { throw Errno(rawValue: -result) }
        epoll = result
        buffer = .allocate(capacity: Self.eventsPerWait)
        lock = .allocate(capacity: 1)
        aio_lock_init(lock)
    }

    deinit {
        close()
        buffer.deallocate()
        aio_lock_destroy(lock)
        lock.deallocate()
    }

    /// The epoll descriptor itself, which can be watched by another poller. -1 after `close()`. The number stays the same when
    /// the set is replaced, but another epoll that watches it must register it again then.
    public var descriptor: FileDescriptor { FileDescriptor(rawValue: epoll) }

    public var supportsEdgeTrigger: Bool { true }

    public func register(
        _ descriptor: FileDescriptor, interest: Interest, trigger: Trigger, token: UInt64
    ) throws(Errno) {
        if !isOurs { throw .badFileDescriptor }
        aio_lock(lock)
        defer { aio_unlock(lock) }
        try keys.checkRegister(descriptor, interest)
        try check(aio_epoll_add(epoll, descriptor.rawValue, Self.mask(interest, trigger), token))
        keys.set(
            descriptor,
            SelectorKeys.Entry(token: token, interest: interest, trigger: trigger))
    }

    public func modify(
        _ descriptor: FileDescriptor, interest: Interest, trigger: Trigger, token: UInt64
    ) throws(Errno) {
        if !isOurs { throw .badFileDescriptor }
        aio_lock(lock)
        defer { aio_unlock(lock) }
        var entry = try keys.checkModify(descriptor, interest)
        // Edge-triggered, the same once more arms it anew. The token is kept by the kernel, so a new one is a change.
        if trigger == .level, entry.trigger == .level, entry.interest == interest, entry.token == token { return }
        do throws(Errno) {
            try check(aio_epoll_modify(epoll, descriptor.rawValue, Self.mask(interest, trigger), token))
        } catch {
            // Closed before, most likely. Nothing is to be left that says otherwise.
            let former = try keys.remove(descriptor)
            removeFromKernel(descriptor, former)
            throw error
        }
        entry.position = 0
        entry.token = token
        entry.interest = interest
        entry.trigger = trigger
        keys.set(descriptor, entry)
    }

    public func unregister(_ descriptor: FileDescriptor) throws(Errno) {
        aio_lock(lock)
        defer { aio_unlock(lock) }
        let former = try keys.remove(descriptor)
        if isOurs { removeFromKernel(descriptor, former) }
    }

    /// Under the lock.
    private func removeFromKernel(_ descriptor: FileDescriptor, _ former: SelectorKeys.Entry) {
        // It fails if the descriptor was closed before, or its number belongs to another file by now. Then the kernel has
        // forgotten the registration by itself, unless a duplicate is open: that shows when an event comes.
        if aio_epoll_remove(epoll, descriptor.rawValue) == 0 || former.position == Self.unknownToKernel { return }
        suspects[former.token] = descriptor
        hasSuspects.store(true, ordering: .relaxed)
    }

    public func wait(timeoutNanoseconds: Int64?, into events: inout [ReadyEvent]) throws(Errno) {
        if !isOurs { throw .badFileDescriptor }
        var time = WaitTime(timeoutNanoseconds)
        while true {
            let count = aio_epoll_wait(epoll, buffer, CInt(Self.eventsPerWait), time.nanoseconds)
            if count >= 0 {
                // The new set reports again what is ready: nothing is lost.
                if hasSuspects.load(ordering: .relaxed), replaceSet(after: Int(count)) {
                    time.wasInterrupted()
                    continue
                }
                return append(Int(count), to: &events)
            }
            guard count == -Errno.interrupted.rawValue else { throw Errno(rawValue: -count) }
            time.wasInterrupted()
        }
    }

    public func isStale(_ descriptor: FileDescriptor) -> Bool {
        aio_lock(lock)
        defer { aio_unlock(lock) }
        guard isOurs, let entry = keys.entry(of: descriptor.rawValue) else { return false }
        if entry.position == Self.unknownToKernel { return true }
        // The same once more: it fails if the kernel's registration is of another file than the number.
        let mask = Self.mask(entry.interest, entry.trigger)
        return aio_epoll_modify(epoll, descriptor.rawValue, mask, entry.token) < 0
    }

    public func close() {
        guard keys.close() else { return }
        Socket(number: epoll).close()
        epoll = -1
    }

    private var isOurs: Bool { forks == aio_fork_count() }

    /// Whether one of `count` events is of a registration that has ended, and the set was replaced by one that lacks it.
    private func replaceSet(after count: Int) -> Bool {
        aio_lock(lock)
        var closed = (0..<count).compactMap { suspects[aio_epoll_event_token(buffer + $0)] }
        let isReplaced = (!closed.isEmpty || suspects.count >= Self.mostSuspects) && makeSet(&closed)
        aio_unlock(lock)
        if isReplaced, let handler = closedDescriptorHandler { for descriptor in closed { handler(descriptor) } }
        return isReplaced
    }

    /// Makes a new set of all registrations whose descriptors are what they were, and adds the others to `closed`. False if the
    /// system has no descriptor or no memory for it: then it is tried again later. Under the lock.
    private func makeSet(_ closed: inout [FileDescriptor]) -> Bool {
        if waitsUntilAttempt > 0 {
            waitsUntilAttempt -= 1
            return false
        }
        let fresh = aio_epoll_create()
        guard fresh >= 0 else {
            waitsUntilAttempt = Self.waitsBetweenAttempts
            return false
        }
        for key in keys {
            guard var entry = keys.entry(of: key.descriptor.rawValue), entry.position != Self.unknownToKernel else {
                continue
            }
            let mask = Self.mask(key.interest, key.trigger)
            // Not what was closed, or is another file's number by now: that one was never watched.
            if aio_epoll_modify(epoll, key.descriptor.rawValue, mask, key.token) < 0 {
                entry.position = Self.unknownToKernel
                keys.set(key.descriptor, entry)
                closed.append(key.descriptor)
            } else if aio_epoll_add(fresh, key.descriptor.rawValue, mask, key.token) < 0 {
                waitsUntilAttempt = Self.waitsBetweenAttempts
                _ = aio_close(fresh)
                return false
            }
        }
        if aio_epoll_replace(epoll, fresh) < 0 { return false }
        suspects = [:]
        hasSuspects.store(false, ordering: .relaxed)
        return true
    }

    private func append(_ count: Int, to events: inout [ReadyEvent]) {
        for index in 0..<count {
            let event = buffer + index
            events.append(
                ReadyEvent(
                    token: aio_epoll_event_token(event), readiness: Self.readiness(of: aio_epoll_event_bits(event))))
        }
    }

    private static func mask(_ interest: Interest, _ trigger: Trigger) -> UInt32 {
        var mask: UInt32 = 0
        if interest.contains(.read) { mask |= AIO_EPOLLIN | AIO_EPOLLRDHUP }
        if interest.contains(.write) { mask |= AIO_EPOLLOUT }
        // Level-triggered, urgent data would be told again and again until it is read past.
        return trigger == .edge ? mask | AIO_EPOLLET | AIO_EPOLLPRI : mask
    }

    /// Errors and hang-ups wake both directions: a writer must learn of them too. asyncio: `_EpollSelector.select`.
    private static func readiness(of bits: UInt32) -> Readiness {
        var readiness: Readiness = []
        if bits & ~AIO_EPOLLOUT != 0 { readiness.insert(.read) }
        if bits & ~(AIO_EPOLLIN | AIO_EPOLLRDHUP | AIO_EPOLLPRI) != 0 { readiness.insert(.write) }
        if bits & (AIO_EPOLLRDHUP | AIO_EPOLLHUP | AIO_EPOLLERR) != 0 { readiness.insert(.hangup) }
        if bits & AIO_EPOLLPRI != 0 { readiness.insert(.urgent) }
        return readiness
    }

    private func check(_ result: CInt) throws(Errno) {
        if result < 0 { throw Errno(rawValue: -result) }
    }
}
#endif
