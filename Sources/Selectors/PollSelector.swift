import AsyncIOSystem
import CAsyncIO
public import SystemPackage

/// A selector that waits with poll(2), for every Unix, any descriptor number and any kind of file.
///
/// It supports only ``Trigger/level``. The time of a wait grows with the number of registrations, ready or not: use
/// epoll or kqueue for thousands of idle connections.
///
/// A descriptor that is closed while it is registered is reported as ready once, so that the next read or write fails
/// with `EBADF`. After that it is not watched until it is modified or registered again. If another file gets its number
/// before the next wait, that file is watched instead, because poll identifies descriptors by their numbers. Therefore
/// unregister a descriptor before you close it.
///
/// - Thread: the loop's.
public final class PollSelector: KeyedSelector {
    /// The current registrations.
    public let keys = SelectorKeys()
    /// The argument of poll(2), without gaps. A closed descriptor has the complement of its number, which poll skips.
    private var polled: [pollfd] = []

    /// Creates a selector without registrations. It needs no resource of the kernel.
    public init() {}

    deinit { close() }

    public var supportsEdgeTrigger: Bool { false }

    public func register(
        _ descriptor: FileDescriptor, interest: Interest, trigger: Trigger, token: UInt64
    ) throws(Errno) {
        try keys.checkRegisterOpen(descriptor, interest, trigger)
        keys.set(
            descriptor,
            SelectorKeys.Entry(
                token: token, position: polled.count, interest: interest, trigger: trigger))
        polled.append(pollfd(fd: descriptor.rawValue, events: Self.events(interest), revents: 0))
    }

    public func modify(
        _ descriptor: FileDescriptor, interest: Interest, trigger: Trigger, token: UInt64
    ) throws(Errno) {
        let entry = try keys.modify(descriptor, interest, trigger, token)
        polled[Int(entry.position)] = pollfd(fd: descriptor.rawValue, events: Self.events(interest), revents: 0)
    }

    public func unregister(_ descriptor: FileDescriptor) throws(Errno) {
        let position = Int(try keys.remove(descriptor).position)
        let last = polled.removeLast()
        guard position < polled.count else { return }
        polled[position] = last
        keys.move(Self.number(of: last), to: position)
    }

    public func wait(timeoutNanoseconds: Int64?, into events: inout [ReadyEvent]) throws(Errno) {
        try keys.checkOpen()
        var time = WaitTime(timeoutNanoseconds)
        while true {
            let count = polled.withUnsafeMutableBufferPointer {
                aio_poll_wait($0.baseAddress, CInt($0.count), time.nanoseconds)
            }
            if count >= 0 { return append(Int(count), to: &events) }
            guard count == -Errno.interrupted.rawValue else { throw Errno(rawValue: -count) }
            time.wasInterrupted()
        }
    }

    public func close() {
        guard keys.close() else { return }
        polled = []
    }

    private func append(_ count: Int, to events: inout [ReadyEvent]) {
        var left = count
        for index in polled.indices where left > 0 && polled[index].revents != 0 {
            left -= 1
            let number = polled[index].fd
            guard let entry = keys.entry(of: number) else { continue }
            let bits = polled[index].revents
            if bits & AIO_POLLNVAL != 0 { polled[index].fd = ~number }
            events.append(ReadyEvent(token: entry.token, readiness: Self.readiness(of: bits, entry.interest)))
        }
    }

    private static func number(of entry: pollfd) -> CInt { entry.fd < 0 ? ~entry.fd : entry.fd }

    private static func events(_ interest: Interest) -> Int16 {
        var events: Int16 = 0
        if interest.contains(.read) { events |= AIO_POLLIN | AIO_POLLRDHUP }
        if interest.contains(.write) { events |= AIO_POLLOUT }
        return events
    }

    /// Errors and hang-ups make both directions ready that are watched.
    private static func readiness(of bits: Int16, _ interest: Interest) -> Readiness {
        var readiness: Readiness = []
        if bits & ~AIO_POLLOUT != 0 { readiness.insert(.read) }
        if bits & ~(AIO_POLLIN | AIO_POLLRDHUP) != 0 { readiness.insert(.write) }
        readiness = readiness.matching(interest)
        if bits & (AIO_POLLRDHUP | AIO_POLLHUP | AIO_POLLERR) != 0 { readiness.insert(.hangup) }
        return readiness
    }
}
