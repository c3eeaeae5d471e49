#if os(Linux)
import AsyncIOSystem
import CAsyncIO
import Synchronization
public import SystemPackage

/// A selector that waits with epoll(7), for Linux.
///
/// The kernel stores a registration by *open file*, not by descriptor number. Therefore a descriptor must be
/// unregistered before it is closed. If a duplicate is still open elsewhere, such as in a child process, closing alone
/// leaves a registration that cannot be removed and continues to report events. The loop unregisters its own
/// descriptors first. If a program does not, the first such event makes the selector replace its epoll set by a new one
/// with all other registrations, which then report again what is ready; see ``BaseSelector/closedDescriptorHandler``.
///
/// A forked child shares the epoll set of its parent. In the child, `close` therefore frees only the child's
/// descriptor, and every call that would change the parent's registrations or take its events fails with `EBADF`.
///
/// - Thread: the loop's. While it is in `wait`, one other thread may register, modify and unregister; a descriptor that
///   becomes ready because of that ends the wait.
public final class EpollSelector: KeyedSelector {
    /// The most events that one wait returns. The next wait returns the others.
    private static let eventsPerWait = 512
    /// The number of suspects that causes a new set without an event, so that their list does not grow without bound.
    private static let mostSuspects = 1_024
    /// The number of waits between two attempts to create a new set, after one has failed.
    private static let waitsBetweenAttempts = 256
    /// The position of an entry that the kernel does not have, because its descriptor was closed.
    private static let unknownToKernel: UInt32 = 1

    private var epoll: CInt
    /// The count of forks in the process that created it.
    private let forks: UInt32
    private let buffer: UnsafeMutablePointer<epoll_event>
    /// The current registrations.
    public let keys = SelectorKeys()
    public var closedDescriptorHandler: ((FileDescriptor) -> Void)?

    /// Protects `keys`, `suspects` and the set itself from the other thread while a new set is created.
    private let lock: UnsafeMutablePointer<pthread_mutex_t>
    /// Registrations that have ended, by token, and that the kernel may still have: because their descriptors were
    /// closed before, or, `nil`, because it has refused to remove them.
    private var suspects: [UInt64: FileDescriptor?] = [:]
    private let hasSuspects = Atomic<Bool>(false)
    private var waitsUntilAttempt = 0

    /// Creates a selector with an epoll set of its own. Throws `EMFILE`, `ENFILE` or `ENOMEM`, as epoll_create1(2)
    /// does.
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

    /// The epoll descriptor itself, which another poller can watch. It is -1 after `close()`.
    ///
    /// The number remains the same when the set is replaced, but another epoll that watches it must then register it
    /// again.
    public var descriptor: FileDescriptor { FileDescriptor(rawValue: epoll) }

    public var supportsEdgeTrigger: Bool { true }

    public func register(
        _ descriptor: FileDescriptor, interest: Interest, trigger: Trigger, token: UInt64
    ) throws(Errno) {
        if !isOurs { throw .badFileDescriptor }
        aio_lock(lock)
        defer { aio_unlock(lock) }
        try keys.checkRegister(descriptor, interest)
        let mask = Self.mask(interest, trigger)
        var result = aio_epoll_add(epoll, descriptor.rawValue, mask, token)
        // The kernel still has a former registration of the same file under this number: it has refused to remove it,
        // or the number was closed while a duplicate was open.
        if result == -Errno.fileExists.rawValue {
            result = aio_epoll_modify(epoll, descriptor.rawValue, mask, token)
        }
        try check(result)
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
        // If it is edge-triggered, an equal registration rearms it. The kernel stores the token, so a new one is a
        // change.
        if trigger == .level, entry.trigger == .level, entry.interest == interest, entry.token == token { return }
        do throws(Errno) {
            try check(aio_epoll_modify(epoll, descriptor.rawValue, Self.mask(interest, trigger), token))
        } catch {
            // The descriptor was closed before, most likely. No registration may remain.
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

    /// Call under the lock.
    private func removeFromKernel(_ descriptor: FileDescriptor, _ former: SelectorKeys.Entry) {
        // It fails if the descriptor was closed before, or if its number belongs to another file by now. Then the
        // kernel has removed the registration, unless a duplicate is open, which the next event of the registration
        // shows.
        let result = aio_epoll_remove(epoll, descriptor.rawValue)
        if result == 0 || former.position == Self.unknownToKernel { return }
        // Any other error, such as ENOMEM, is no mistake of the program, so nothing is reported.
        let ofClosed: [Errno] = [.noSuchFileOrDirectory, .badFileDescriptor, .notPermitted]
        let wasClosed = ofClosed.contains(Errno(rawValue: -result))
        suspects.updateValue(wasClosed ? descriptor : nil, forKey: former.token)
        hasSuspects.store(true, ordering: .relaxed)
    }

    public func wait(timeoutNanoseconds: Int64?, into events: inout [ReadyEvent]) throws(Errno) {
        if !isOurs { throw .badFileDescriptor }
        var time = WaitTime(timeoutNanoseconds)
        while true {
            let count = aio_epoll_wait(epoll, buffer, CInt(Self.eventsPerWait), time.nanoseconds)
            if count >= 0 {
                // The new set reports again what is ready, so no event is lost.
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
        // An equal registration fails if the kernel's one is for another file than the number.
        let mask = Self.mask(entry.interest, entry.trigger)
        return aio_epoll_modify(epoll, descriptor.rawValue, mask, entry.token) < 0
    }

    public func close() {
        guard keys.close() else { return }
        Socket(number: epoll).close()
        epoll = -1
    }

    /// Whether this process created the set, not its parent.
    private var isOurs: Bool { forks == aio_fork_count() }

    /// Replaces the set if one of `count` events belongs to a registration that has ended. Returns whether it did.
    private func replaceSet(after count: Int) -> Bool {
        aio_lock(lock)
        let reported = (0..<count).compactMap { suspects[aio_epoll_event_token(buffer + $0)] }
        var closed = reported.compactMap(\.self)
        let isReplaced = (!reported.isEmpty || suspects.count >= Self.mostSuspects) && makeSet(&closed)
        aio_unlock(lock)
        if isReplaced, let handler = closedDescriptorHandler { for descriptor in closed { handler(descriptor) } }
        return isReplaced
    }

    /// Creates a new set of all registrations whose descriptors are still open, and adds the others to `closed`.
    /// Returns false if the system has no descriptor or memory for it; a later wait tries again. Call under the lock.
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
            // It fails if the descriptor was closed, or if its number belongs to another file, which was never watched.
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
        // If it is level-triggered, every wait would report urgent data until the program has read past it.
        return trigger == .edge ? mask | AIO_EPOLLET | AIO_EPOLLPRI : mask
    }

    /// Errors and hang-ups make both directions ready, so that a writer is notified too. Python:
    /// `EpollSelector.select`.
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
