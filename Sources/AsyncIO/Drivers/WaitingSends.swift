/// The bytes of a connection that wait until the socket takes them, and the operation that sends the first of them.
/// Created for the first such bytes, because most connections never have any.
final class WaitingSends {
    /// Bytes that wait for the send in flight, or for the end of the iteration.
    @exclusivity(unchecked) var pending = WriteQueue()
    @exclusivity(unchecked) var inFlight = WriteQueue()
    @exclusivity(unchecked) var operation: SlotID?
    /// The poll that reports when more of a file can be sent.
    @exclusivity(unchecked) var filePoll: SlotID?
    @exclusivity(unchecked) var isFlushQueued = false

    var byteCount: Int { pending.count &+ inFlight.count }
    var isEmpty: Bool { operation == nil && pending.isEmpty && inFlight.isEmpty }
}
