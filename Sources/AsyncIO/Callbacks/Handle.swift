public import AsyncIOSystem

/// Names a callback that was scheduled with `callSoon`. asyncio: `Handle`.
///
/// A value: two words, no allocation. Cancelling takes constant time and frees the closure at once.
public struct Handle: Sendable {
    package let loop: EventLoop
    package let name: SlotName

    /// Prevents the callback from running, and releases its closure at once.
    ///
    /// - Returns: Whether it prevented the callback: false if it has run, is running or was cancelled.
    /// - Thread: the loop's.
    @discardableResult
    public func cancel() -> Bool {
        loop.cancelCallback(name)
    }

    /// Whether the callback still waits for its turn. The loop's thread.
    ///
    /// There is no counterpart of asyncio's `cancelled()`: a callback that was cancelled leaves as little behind as one that ran.
    public var isPending: Bool {
        loop.isPending(name)
    }
}

/// Names a callback that was scheduled for a time. asyncio: `TimerHandle`.
public struct TimerHandle: Sendable {
    package let loop: EventLoop
    package let name: SlotName
    /// When the callback is due. asyncio: `when()`.
    public let deadline: LoopInstant

    /// Prevents the callback from running, in constant time, and releases its closure at once.
    ///
    /// - Returns: Whether it prevented the callback: false if it has run, is running or was cancelled.
    /// - Thread: the loop's.
    @discardableResult
    public func cancel() -> Bool {
        loop.cancelCallback(name)
    }

    /// Whether the callback still waits for its time. The loop's thread.
    public var isPending: Bool {
        loop.isPending(name)
    }
}

extension Handle: CustomStringConvertible {
    /// Such as `<Handle callback, pending, scheduled at App/main.swift:7>`.
    public var description: String { "<Handle callback\(loop.describeCallback(name))>" }
}

extension TimerHandle: CustomStringConvertible {
    /// Such as `<TimerHandle in 1.500 s, pending, scheduled at App/main.swift:7>`.
    public var description: String {
        "<TimerHandle \(deadline.remaining(on: loop))\(loop.describeCallback(name))>"
    }
}

extension LoopInstant {
    func remaining(on loop: EventLoop) -> String {
        let remaining = loop.now.duration(to: self)
        return remaining >= .zero ? "in \(remaining.inSeconds) s" : "due \((.zero - remaining).inSeconds) s ago"
    }
}
