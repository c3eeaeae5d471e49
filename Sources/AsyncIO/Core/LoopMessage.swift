/// A message of another thread to the loop.
@usableFromInline class LoopMessage {
    /// Called when the message is taken from the ready queue.
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

    /// Returns the message and its ownership, exactly once per word.
    func takeMessage() -> LoopMessage { message.takeRetainedValue() }

    /// Returns the message, which the word still owns, before `takeMessage()`.
    func peekMessage() -> LoopMessage { message.takeUnretainedValue() }

    // SAFETY: the word was created from a retained message, and words are consumed once.
    private var message: Unmanaged<LoopMessage> {
        .fromOpaque(UnsafeRawPointer(bitPattern: bits & ~7).unsafelyUnwrapped)
    }
}

extension EventLoop {
    /// Queues `message`, on any thread and also in a `deinit`. Returns false, and releases it, if the loop is closed.
    final func post(_ message: LoopMessage) -> Bool {
        let word = LoopWord(message)
        if submit(word) { return true }
        _ = word.takeMessage()
        return false
    }
}
