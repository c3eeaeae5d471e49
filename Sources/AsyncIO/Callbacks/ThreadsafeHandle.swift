import Synchronization

/// A handle of a callback that was submitted with `callSoonThreadsafe`.
public final class ThreadsafeHandle: @unchecked Sendable {
    private let message: CallbackMessage

    init(_ message: CallbackMessage) {
        self.message = message
    }

    /// Whether the callback has neither begun nor been cancelled.
    ///
    /// - Thread: any.
    var isPending: Bool { message.isPending }

    var callSite: CallSite { message.site }

    /// Prevents the callback from running if it has not begun, and releases its closure.
    ///
    /// It does not wait for a callback that is running; asyncio's does, since 3.14.
    ///
    /// - Returns: Whether this call prevented the callback.
    /// - Thread: any.
    @discardableResult
    public func cancel() -> Bool {
        message.take() != nil
    }
}

/// A closure on its way to the loop. It is taken once, by the loop or by a cancellation.
final class CallbackMessage: LoopMessage, @unchecked Sendable {
    struct Body {
        let call: () throws -> Void
    }

    // SAFETY: the closure was passed as `sending`, so nothing else uses what it captures, and it is called on the
    // loop's thread. After `init`, only the thread that found `isTaken` false accesses the body.
    private var body: Body?
    private let isTaken = Atomic<Bool>(false)
    let site: CallSite

    init(_ body: Body, site: CallSite) {
        self.body = body
        self.site = site
    }

    var isPending: Bool { !isTaken.load(ordering: .relaxed) }

    override func deliver(on loop: EventLoop) {
        guard let body = take() else { return }
        loop.callReporting(site, body.call)
    }

    override var callSite: CallSite? { site }

    override func discard() {
        _ = take()
    }

    /// Returns the closure to the first caller, and `nil` to all others.
    func take() -> Body? {
        isTaken.exchange(true, ordering: .acquiringAndReleasing) ? nil : body.take()
    }
}

extension ThreadsafeHandle: CustomStringConvertible {
    /// Such as `<ThreadsafeHandle callback, pending, scheduled at App/main.swift:7>`.
    public var description: String {
        "<ThreadsafeHandle callback, \(isPending ? "pending" : "not pending"), scheduled at \(callSite)>"
    }
}
