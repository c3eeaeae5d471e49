#if os(Linux)
import SystemPackage

/// Sends that post no completion if the kernel takes all bytes at once.
///
/// Such a send has the flags `MSG_DONTWAIT`, `MSG_WAITALL` and "skip the completion on success". The kernel carries it
/// out while it is submitted, and never later, because it may not wait. So when io_uring_enter(2) has returned, and has
/// taken the submission, exactly one of these is true:
/// - all bytes were copied into the socket's buffer, and there is no completion;
/// - the send failed, or was short, and its completion is in the completion queue, or in the kernel's overflow list if
///   the queue was full.
///
/// Therefore the memory is free, and the send was successful, when three conditions hold: the kernel has taken all
/// submissions; the kernel's overflow list is empty, as the flag in the submission ring shows; and no completion for it
/// has been found in the queue. `IOUringProactor.wait` reports it then. A short send has the count of its bytes in its
/// completion. One that would block is submitted again as an ordinary send, which waits.
///
/// A driver has at most one send in flight per socket. Two that are submitted together could be reordered: after a
/// short first send, the second could still succeed.
struct ImmediateSends {
    struct Send {
        let token: UInt64
        let descriptor: CInt
        let bytes: UnsafeMutableRawBufferPointer
        var isCancelled = false
        /// Whether its completion was found, so that it was not successful.
        var hasCompleted = false
    }

    private(set) var sends: [Send] = []

    @inline(__always) var isEmpty: Bool { sends.isEmpty }

    @inline(__always)
    mutating func append(_ token: UInt64, _ descriptor: CInt, _ bytes: UnsafeMutableRawBufferPointer) {
        sends.append(Send(token: token, descriptor: descriptor, bytes: bytes))
    }

    /// Returns the send whose completion was found, or `nil` if there is none with this token.
    mutating func completed(_ token: UInt64) -> Send? {
        guard let index = sends.firstIndex(where: { $0.token == token && !$0.hasCompleted }) else { return nil }
        sends[index].hasCompleted = true
        return sends[index]
    }

    /// Returns whether it was one of these.
    mutating func cancel(_ token: UInt64) -> Bool {
        guard let index = sends.firstIndex(where: { $0.token == token && !$0.hasCompleted }) else { return false }
        sends[index].isCancelled = true
        return true
    }

    /// Appends completions of the sends that were successful.
    @inline(__always) mutating func finish(into events: inout [Completion]) {
        for send in sends where !send.hasCompleted {
            events.append(Completion(token: send.token, result: send.bytes.count))
        }
        sends.removeAll(keepingCapacity: true)
    }
}
#endif
