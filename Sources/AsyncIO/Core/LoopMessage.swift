/// Something that another thread sends to the loop.
@usableFromInline
class LoopMessage {
    /// On the loop's thread, in its turn.
    func deliver(on loop: EventLoop) {}
    /// Instead of `deliver`, when the loop was closed first.
    func discard() {}
    /// Where it was sent, if it is a callback.
    var callSite: CallSite? { nil }
}

extension LoopWord {
    /// Keeps `message` alive until ``takeMessage()``.
    init(_ message: LoopMessage) {
        bits = UInt(bitPattern: Unmanaged.passRetained(message).toOpaque()) | Kind.message.rawValue
    }

    /// The message, which stays the word's.
    func peekMessage() -> LoopMessage {
        // SAFETY: as in `takeMessage()`, which has not been called yet.
        Unmanaged<LoopMessage>.fromOpaque(UnsafeRawPointer(bitPattern: bits & ~7).unsafelyUnwrapped)
            .takeUnretainedValue()
    }

    /// Call it exactly once per word.
    func takeMessage() -> LoopMessage {
        // SAFETY: the word was made from a retained message, and words are consumed once.
        Unmanaged<LoopMessage>.fromOpaque(UnsafeRawPointer(bitPattern: bits & ~7).unsafelyUnwrapped).takeRetainedValue()
    }
}
