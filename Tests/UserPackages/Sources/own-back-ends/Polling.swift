import AsyncIO

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// Waits with poll(2) until an entry is ready, or the time is over. A signal does not end the wait.
func poll(_ entries: inout [pollfd], timeoutNanoseconds: Int64?) throws(Errno) {
    let deadline = timeoutNanoseconds.map { ContinuousClock.now + .nanoseconds(max($0, 0)) }
    while poll(&entries, nfds_t(entries.count), milliseconds(until: deadline)) < 0 {
        let error = Errno(rawValue: errno)
        if error != .interrupted { throw error }
    }
}

/// Returns the time that is left, rounded up; -1 stands for no limit.
private func milliseconds(until deadline: ContinuousClock.Instant?) -> CInt {
    guard let deadline else { return -1 }
    let (seconds, attoseconds) = max(ContinuousClock.now.duration(to: deadline), .zero).components
    let rest = (attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000
    return CInt(clamping: min(seconds, 1_000_000) * 1_000 + rest)
}

extension pollfd {
    init(_ descriptor: CInt, for interest: Interest) {
        let read = interest.contains(.read) ? POLLIN : 0
        let write = interest.contains(.write) ? POLLOUT : 0
        self.init(fd: descriptor, events: Int16(read | write), revents: 0)
    }

    /// The result. Errors and hang-ups make every direction ready that is watched.
    func readiness(for interest: Interest) -> Readiness {
        var readiness: Readiness = []
        if revents & ~Int16(POLLOUT) != 0 { readiness.formUnion(.read) }
        if revents & ~Int16(POLLIN) != 0 { readiness.formUnion(.write) }
        readiness = readiness.matching(interest)
        if revents & Int16(POLLHUP | POLLERR) != 0 { readiness.formUnion(.hangup) }
        return readiness
    }
}
