public import AsyncIOSystem

/// A handle of a callback that was scheduled with `callSoon`. asyncio: `Handle`.
///
/// A handle is a value of two words and needs no allocation. Cancelling takes constant time and frees the closure at
/// once.
public struct Handle: Sendable {
    package let loop: EventLoop
    package let id: SlotID

    /// Prevents the callback from running, and releases its closure at once.
    ///
    /// - Returns: Whether it prevented the callback: false if it has run, is running or was cancelled.
    /// - Thread: the loop's.
    @discardableResult
    public func cancel() -> Bool {
        loop.cancelCallback(id)
    }

    /// Whether the callback is still scheduled.
    ///
    /// There is no counterpart of asyncio's `cancelled()`, because the loop retains nothing of a callback that was
    /// cancelled or has run.
    ///
    /// - Thread: the loop's.
    public var isPending: Bool {
        loop.isPending(id)
    }
}

/// A handle of a callback that was scheduled for an instant. asyncio: `TimerHandle`.
public struct TimerHandle: Sendable {
    package let loop: EventLoop
    package let id: SlotID
    /// The instant at which the callback is due. asyncio: `when()`.
    public let deadline: LoopInstant

    /// Prevents the callback from running, in constant time, and releases its closure at once.
    ///
    /// - Returns: Whether it prevented the callback: false if it has run, is running or was cancelled.
    /// - Thread: the loop's.
    @discardableResult
    public func cancel() -> Bool {
        loop.cancelCallback(id)
    }

    /// Whether the callback is still scheduled.
    ///
    /// - Thread: the loop's.
    public var isPending: Bool {
        loop.isPending(id)
    }
}

extension Handle: CustomStringConvertible {
    /// Such as `<Handle callback, pending, scheduled at App/main.swift:7>`.
    public var description: String { "<Handle callback\(loop.describeCallback(id))>" }
}

extension TimerHandle: CustomStringConvertible {
    /// Such as `<TimerHandle in 1.500 s, pending, scheduled at App/main.swift:7>`.
    public var description: String {
        "<TimerHandle \(deadline.remaining(on: loop))\(loop.describeCallback(id))>"
    }
}

extension LoopInstant {
    func remaining(on loop: EventLoop) -> String {
        let remaining = loop.now.duration(to: self)
        return remaining >= .zero ? "in \(remaining.inSeconds) s" : "due \((.zero - remaining).inSeconds) s ago"
    }
}
