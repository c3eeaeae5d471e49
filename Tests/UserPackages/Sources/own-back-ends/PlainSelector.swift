import AsyncIO
import Selectors

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// A selector over poll(2).
final class PlainSelector: BaseSelector {
    private struct Registration {
        var interest: Interest
        var token: UInt64
        /// Whether the descriptor was closed, which was reported once.
        var isClosed = false
    }

    private var registrations: [CInt: Registration] = [:]
    private var isClosed = false

    var supportsEdgeTrigger: Bool { false }

    func register(_ descriptor: FileDescriptor, interest: Interest, trigger: Trigger, token: UInt64) throws(Errno) {
        try check(interest, trigger)
        if fcntl(descriptor.rawValue, F_GETFD) < 0 { throw .badFileDescriptor }
        if registrations[descriptor.rawValue] != nil { throw .fileExists }
        registrations[descriptor.rawValue] = Registration(interest: interest, token: token)
    }

    func modify(_ descriptor: FileDescriptor, interest: Interest, trigger: Trigger, token: UInt64) throws(Errno) {
        try check(interest, trigger)
        if registrations[descriptor.rawValue] == nil { throw .noSuchFileOrDirectory }
        registrations[descriptor.rawValue] = Registration(interest: interest, token: token)
    }

    func unregister(_ descriptor: FileDescriptor) throws(Errno) {
        if isClosed { throw .badFileDescriptor }
        if registrations.removeValue(forKey: descriptor.rawValue) == nil { throw .noSuchFileOrDirectory }
    }

    func wait(timeoutNanoseconds: Int64?, into events: inout [ReadyEvent]) throws(Errno) {
        if isClosed { throw .badFileDescriptor }
        var entries = registrations.filter { !$0.value.isClosed }.map { pollfd($0.key, for: $0.value.interest) }
        try poll(&entries, timeoutNanoseconds: timeoutNanoseconds)
        for entry in entries where entry.revents != 0 {
            guard let registration = registrations[entry.fd] else { continue }
            if entry.revents & Int16(POLLNVAL) != 0 { registrations[entry.fd]?.isClosed = true }
            events.append(
                ReadyEvent(token: registration.token, readiness: entry.readiness(for: registration.interest)))
        }
    }

    func close() {
        isClosed = true
        registrations = [:]
    }

    private func check(_ interest: Interest, _ trigger: Trigger) throws(Errno) {
        if isClosed { throw .badFileDescriptor }
        if interest.isEmpty || trigger != .level { throw .invalidArgument }
    }
}
