/// A message of another thread to the loop.
@usableFromInline
class LoopMessage {
    /// Called on the loop's thread, when the message is taken from the ready queue.
    func deliver(on loop: EventLoop) {}
    /// Called instead of `deliver` if the loop was closed first.
    func discard() {}
    /// Where the message was submitted, if it is a callback.
    var callSite: CallSite? { nil }
}

extension LoopWord {
    /// Retains `message` until ``takeMessage()``.
    init(_ message: LoopMessage) {
        bits = UInt(bitPattern: Unmanaged.passRetained(message).toOpaque()) | Kind.message.rawValue
    }

    /// Returns the message, which remains owned by the word.
    func peekMessage() -> LoopMessage {
        // SAFETY: as in `takeMessage()`, which has not been called yet.
        Unmanaged<LoopMessage>.fromOpaque(UnsafeRawPointer(bitPattern: bits & ~7).unsafelyUnwrapped)
            .takeUnretainedValue()
    }

    /// Returns the message and its ownership. It must be called exactly once per word.
    func takeMessage() -> LoopMessage {
        // SAFETY: the word was created from a retained message, and words are consumed once.
        Unmanaged<LoopMessage>.fromOpaque(UnsafeRawPointer(bitPattern: bits & ~7).unsafelyUnwrapped).takeRetainedValue()
    }
}
