import AsyncIOSystem
import CAsyncIO
public import SystemPackage

/// A selector that waits with select(2), for every Unix.
///
/// It supports only ``Trigger/level``, and only descriptors whose numbers are below ``descriptorLimit``, which is 1,024
/// on most systems; it refuses others with `EMFILE`. The time of a wait grows with the highest number that is
/// registered.
///
/// A descriptor that is closed while it is registered is treated as in ``PollSelector``.
///
/// - Thread: the loop's.
public final class SelectSelector: KeyedSelector {
    /// The current registrations.
    public let keys = SelectorKeys()
    private let sets: UnsafeMutablePointer<Sets>
    /// One more than the highest number that is watched.
    private var end: CInt = 0

    /// The sets that are watched, and the copies in which a wait returns the ready descriptors.
    private struct Sets {
        var read = fd_set()
        var write = fd_set()
        var readable = fd_set()
        var writable = fd_set()
    }

    /// Creates a selector without registrations. It needs no resource of the kernel.
    public init() {
        sets = .allocate(capacity: 1)
        sets.initialize(to: Sets())
    }

    deinit {
        sets.deallocate()
    }

    public var supportsEdgeTrigger: Bool { false }

    public var descriptorLimit: Int? { Int(AIO_FD_SETSIZE) }

    public func register(
        _ descriptor: FileDescriptor, interest: Interest, trigger: Trigger, token: UInt64
    ) throws(Errno) {
        try keys.checkRegisterOpen(descriptor, interest, trigger)
        if descriptor.rawValue >= AIO_FD_SETSIZE { throw .tooManyOpenFiles }
        keys.set(
            descriptor,
            SelectorKeys.Entry(token: token, interest: interest, trigger: trigger))
        watch(descriptor.rawValue, interest)
    }

    public func modify(
        _ descriptor: FileDescriptor, interest: Interest, trigger: Trigger, token: UInt64
    ) throws(Errno) {
        try keys.modify(descriptor, interest, trigger, token)
        watch(descriptor.rawValue, interest)
    }

    public func unregister(_ descriptor: FileDescriptor) throws(Errno) {
        try keys.remove(descriptor)
        watch(descriptor.rawValue, [])
        // This takes at most `descriptorLimit` steps.
        while end > 0, !keys.contains(end - 1) { end -= 1 }
    }

    public func wait(timeoutNanoseconds: Int64?, into events: inout [ReadyEvent]) throws(Errno) {
        try keys.checkOpen()
        var time = WaitTime(timeoutNanoseconds)
        while true {
            sets.pointee.readable = sets.pointee.read
            sets.pointee.writable = sets.pointee.write
            let count = aio_select_wait(end, &sets.pointee.readable, &sets.pointee.writable, time.nanoseconds)
            if count >= 0 { return append(Int(count), to: &events) }
            switch Errno(rawValue: -count) {
            case .interrupted: time.wasInterrupted()
            case .badFileDescriptor:
                // One closed descriptor makes the whole call fail. If none is found, its number is open again by now.
                if reportClosed(to: &events) { return }
            case let error: throw error
            }
        }
    }

    public func close() {
        guard keys.close() else { return }
        end = 0
    }

    /// Adds the number to the sets of `interest` and removes it from the others.
    private func watch(_ number: CInt, _ interest: Interest) {
        if interest.contains(.read) {
            aio_select_insert(&sets.pointee.read, number)
        } else {
            aio_select_remove(&sets.pointee.read, number)
        }
        if interest.contains(.write) {
            aio_select_insert(&sets.pointee.write, number)
        } else {
            aio_select_remove(&sets.pointee.write, number)
        }
        if !interest.isEmpty { end = max(end, number + 1) }
    }

    private func append(_ count: Int, to events: inout [ReadyEvent]) {
        var left = count
        var number: CInt = 0
        while number < end, left > 0 {
            defer { number += 1 }
            var readiness: Readiness = []
            if aio_select_contains(&sets.pointee.readable, number) { readiness.insert(.read) }
            if aio_select_contains(&sets.pointee.writable, number) { readiness.insert(.write) }
            if readiness.isEmpty { continue }
            left -= readiness == [.read, .write] ? 2 : 1
            guard let entry = keys.entry(of: number) else { continue }
            events.append(ReadyEvent(token: entry.token, readiness: readiness))
        }
    }

    /// Reports closed descriptors as ready and stops watching them. Returns whether there were any.
    private func reportClosed(to events: inout [ReadyEvent]) -> Bool {
        var found = false
        for number in 0..<end {
            guard let entry = keys.entry(of: number), isWatched(number), aio_check_open(number) < 0 else { continue }
            found = true
            watch(number, [])
            events.append(ReadyEvent(token: entry.token, readiness: Readiness(entry.interest)))
        }
        return found
    }

    private func isWatched(_ number: CInt) -> Bool {
        aio_select_contains(&sets.pointee.read, number) || aio_select_contains(&sets.pointee.write, number)
    }
}
