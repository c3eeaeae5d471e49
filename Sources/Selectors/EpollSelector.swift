#if os(Linux)
import AsyncIOSystem
import CAsyncIO
public import SystemPackage

/// Waits with epoll(7). Linux.
///
/// The kernel keeps the registrations by *open file*, not by descriptor number. So a descriptor must be unregistered before
/// it is closed: if a duplicate is still open somewhere (in a child, say), closing alone leaves a registration that
/// nobody can remove any more and whose events go on. The loop's transports keep to that order.
public final class EpollSelector: BaseSelector {
    /// More events than this wait for the next call; nothing is lost.
    private static let eventsPerWait = 512

    private var epoll: CInt
    private let buffer: UnsafeMutablePointer<epoll_event>

    public init() throws(Errno) {
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
        try check(aio_epoll_add(epoll, descriptor.rawValue, try Self.mask(interest, trigger), token))
    }

    public func modify(
        _ descriptor: FileDescriptor, interest: Readiness, trigger: Trigger, token: UInt64
    ) throws(Errno) {
        try check(aio_epoll_modify(epoll, descriptor.rawValue, try Self.mask(interest, trigger), token))
    }

    public func unregister(_ descriptor: FileDescriptor) throws(Errno) {
        let result = aio_epoll_remove(epoll, descriptor.rawValue)
        // Closed before: the kernel has forgotten it by itself.
        if result == -Errno.badFileDescriptor.rawValue, epoll >= 0 { return }
        try check(result)
    }

    public func wait(timeoutNanoseconds: Int64?, into events: inout [ReadyEvent]) throws(Errno) {
        // Nil waits without end, which C says as a negative number; a negative timeout does not wait.
        var nanoseconds = timeoutNanoseconds.map { max($0, 0) } ?? -1
        let began = nanoseconds > 0 ? MonotonicClock.now.nanoseconds : 0
        let whole = nanoseconds
        while true {
            let count = aio_epoll_wait(epoll, buffer, CInt(Self.eventsPerWait), nanoseconds)
            if count >= 0 {
                append(Int(count), to: &events)
                return
            }
            guard count == -Errno.interrupted.rawValue else { throw Errno(rawValue: -count) }
            // A signal. Its effect reaches the loop through a descriptor, so the wait may go on.
            if whole > 0 { nanoseconds = max(0, whole - (MonotonicClock.now.nanoseconds - began)) }
        }
    }

    public func close() {
        guard epoll >= 0 else { return }
        Socket(number: epoll).close()
        epoll = -1
    }

    private func append(_ count: Int, to events: inout [ReadyEvent]) {
        for index in 0..<count {
            let event = buffer + index
            events.append(
                ReadyEvent(
                    token: aio_epoll_event_token(event), readiness: Self.readiness(of: aio_epoll_event_bits(event))))
        }
    }

    private static func mask(_ interest: Readiness, _ trigger: Trigger) throws(Errno) -> UInt32 {
        var mask: UInt32 = 0
        if interest.contains(.read) { mask |= AIO_EPOLLIN | AIO_EPOLLRDHUP }
        if interest.contains(.write) { mask |= AIO_EPOLLOUT }
        if mask == 0 { throw .invalidArgument }
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
