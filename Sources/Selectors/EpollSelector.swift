#if os(Linux)
import AsyncIOSystem
import CAsyncIO
public import SystemPackage

/// Waits with epoll(7). Linux.
///
/// The kernel keeps the registrations by *open file*, not by descriptor number. So a descriptor must be unregistered before
/// it is closed: if a duplicate is still open somewhere (in a child, say), closing alone leaves a registration that
/// nobody can remove any more and whose events go on. The loop's transports keep to that order.
///
/// Nor does a forked child get a copy of the kernel's side: it shares its parent's. So there this selector only frees its own
/// descriptor, and every call that would change or take what is the parent's fails with `EBADF`.
///
/// While one thread is in `wait`, one other may register, modify and unregister: what becomes ready then ends the wait.
public final class EpollSelector: KeyedSelector {
    /// More events than this wait for the next call; nothing is lost.
    private static let eventsPerWait = 512

    private var epoll: CInt
    /// How many forks there were before the process that made it.
    private let forks: UInt32
    private let buffer: UnsafeMutablePointer<epoll_event>
    public let keys = SelectorKeys()

    public init() throws(Errno) {
        aio_install_fork_handler()
        forks = aio_fork_count()
        let result = aio_epoll_create()
        if result < 0 { throw Errno(rawValue: -result) }
        epoll = result
        buffer = .allocate(capacity: Self.eventsPerWait)
    }

    deinit {
        close()
        buffer.deallocate()
    }

    /// The epoll descriptor itself, which can be watched by another poller. -1 after `close()`.
    public var descriptor: FileDescriptor { FileDescriptor(rawValue: epoll) }

    public var supportsEdgeTrigger: Bool { true }

    public func register(
        _ descriptor: FileDescriptor, interest: Readiness, trigger: Trigger, token: UInt64
    ) throws(Errno) {
        if !isOurs { throw .badFileDescriptor }
        try keys.checkRegister(descriptor, interest)
        try check(aio_epoll_add(epoll, descriptor.rawValue, Self.mask(interest, trigger), token))
        keys.set(
            descriptor,
            SelectorKeys.Entry(token: token, interest: interest, trigger: trigger))
    }

    public func modify(
        _ descriptor: FileDescriptor, interest: Readiness, trigger: Trigger, token: UInt64
    ) throws(Errno) {
        if !isOurs { throw .badFileDescriptor }
        var entry = try keys.checkModify(descriptor, interest)
        // Edge-triggered, the same once more arms it anew. The token is kept by the kernel, so a new one is a change.
        if trigger == .level, entry.trigger == .level, entry.interest == interest, entry.token == token { return }
        do throws(Errno) {
            try check(aio_epoll_modify(epoll, descriptor.rawValue, Self.mask(interest, trigger), token))
        } catch {
            // Closed before, most likely. Nothing is to be left that says otherwise.
            _ = aio_epoll_remove(epoll, descriptor.rawValue)
            try keys.remove(descriptor)
            throw error
        }
        entry.token = token
        entry.interest = interest
        entry.trigger = trigger
        keys.set(descriptor, entry)
    }

    public func unregister(_ descriptor: FileDescriptor) throws(Errno) {
        try keys.remove(descriptor)
        if !isOurs { return }
        // It fails if the descriptor was closed before, or its number belongs to another file by now: then the kernel has
        // forgotten the registration by itself.
        _ = aio_epoll_remove(epoll, descriptor.rawValue)
    }

    public func wait(timeoutNanoseconds: Int64?, into events: inout [ReadyEvent]) throws(Errno) {
        if !isOurs { throw .badFileDescriptor }
        var time = WaitTime(timeoutNanoseconds)
        while true {
            let count = aio_epoll_wait(epoll, buffer, CInt(Self.eventsPerWait), time.nanoseconds)
            if count >= 0 { return append(Int(count), to: &events) }
            guard count == -Errno.interrupted.rawValue else { throw Errno(rawValue: -count) }
            time.wasInterrupted()
        }
    }

    public func close() {
        guard keys.close() else { return }
        Socket(number: epoll).close()
        epoll = -1
    }

    private var isOurs: Bool { forks == aio_fork_count() }

    private func append(_ count: Int, to events: inout [ReadyEvent]) {
        for index in 0..<count {
            let event = buffer + index
            events.append(
                ReadyEvent(
                    token: aio_epoll_event_token(event), readiness: Self.readiness(of: aio_epoll_event_bits(event))))
        }
    }

    private static func mask(_ interest: Readiness, _ trigger: Trigger) -> UInt32 {
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
