public import AsyncIOSystem
import Synchronization

/// A handle of a callback that was scheduled with `callSoon`: two words, no allocation. asyncio: `Handle`.
///
/// - Thread: the loop's.
public struct Handle: Sendable, CustomStringConvertible {
    package let loop: EventLoop
    package let id: SlotID

    /// Prevents the callback from running, in constant time, and releases its closure at once. Returns whether it
    /// prevented the callback: false if it has run, is running or was cancelled.
    @discardableResult public func cancel() -> Bool { loop.cancelCallback(id) }

    /// Whether the callback is still scheduled. asyncio's `cancelled()` has no counterpart, because the loop retains
    /// nothing of a callback that was cancelled or has run.
    public var isPending: Bool { loop.isPending(id) }

    /// Such as `<Handle callback, pending, scheduled at App/main.swift:7>`.
    public var description: String { "<Handle callback\(loop.describeCallback(id))>" }
}

/// A handle of a callback that was scheduled for an instant. asyncio: `TimerHandle`.
///
/// - Thread: the loop's.
public struct TimerHandle: Sendable, CustomStringConvertible {
    package let loop: EventLoop
    package let id: SlotID
    /// The instant at which the callback is due. asyncio: `when()`.
    public let deadline: LoopInstant

    /// Prevents the callback from running; see ``Handle/cancel()``.
    @discardableResult public func cancel() -> Bool { loop.cancelCallback(id) }

    /// Whether the callback is still scheduled.
    public var isPending: Bool { loop.isPending(id) }

    /// Such as `<TimerHandle in 1.500 s, pending, scheduled at App/main.swift:7>`.
    public var description: String { "<TimerHandle \(deadline.remaining(on: loop))\(loop.describeCallback(id))>" }
}

/// A handle of a callback that was submitted with `callSoonThreadsafe`.
///
/// - Thread: any.
public struct ThreadsafeHandle: Sendable, CustomStringConvertible {
    let message: CallbackMessage

    /// Prevents the callback from running if it has not begun, and releases its closure. Returns whether it did. It
    /// does not wait for a callback that is running; asyncio's does, since 3.14.
    @discardableResult public func cancel() -> Bool { message.take() != nil }

    /// Such as `<ThreadsafeHandle callback, pending, scheduled at App/main.swift:7>`.
    public var description: String {
        "<ThreadsafeHandle callback, \(message.isPending ? "pending" : "not pending"), scheduled at \(message.site)>"
    }
}

/// A closure on its way to the loop. It is taken once, by the loop or by a cancellation.
final class CallbackMessage: LoopMessage, @unchecked Sendable {
    // SAFETY: the closure was passed as `sending`, so nothing else uses what it captures, and it is called on the
    // loop's thread. After `init`, only the thread that found `isTaken` false accesses the body.
    private var body: (() throws -> Void)?
    private let isTaken = Atomic<Bool>(false)
    let site: CallSite

    init(_ body: @escaping () throws -> Void, site: CallSite) {
        self.body = body
        self.site = site
    }

    override var callSite: CallSite? { site }

    override func deliver(on loop: EventLoop) {
        if let body = take() { loop.callReporting(site, body) }
    }

    override func discard() { _ = take() }

    func take() -> (() throws -> Void)? {
        if isTaken.exchange(true, ordering: .acquiringAndReleasing) { return nil }
        defer { body = nil }
        return body
    }

    var isPending: Bool { !isTaken.load(ordering: .relaxed) }
}

extension LoopInstant {
    func remaining(on loop: EventLoop) -> String {
        let remaining = loop.now.duration(to: self)
        return remaining >= .zero ? "in \(remaining.inSeconds) s" : "due \((.zero - remaining).inSeconds) s ago"
    }
}
