import Synchronization

/// A callback that another thread sent with `callSoonThreadsafe`.
public final class ThreadsafeHandle: @unchecked Sendable {
    private let message: CallbackMessage

    init(_ message: CallbackMessage) {
        self.message = message
    }

    /// Whether nobody has taken or cancelled it. Any thread.
    var isPending: Bool { message.isPending }

    var callSite: CallSite { message.site }

    /// Keeps the callback from running, if it has not begun, and frees its closure. Any thread.
    ///
    /// Does not wait for a callback that is running; asyncio's does, since 3.14.
    ///
    /// - Returns: whether this call is what kept it from running.
    @discardableResult
    public func cancel() -> Bool {
        message.take() != nil
    }
}

/// The closure on its way to the loop. Taken once: by the loop, or by whoever cancels.
final class CallbackMessage: LoopMessage, @unchecked Sendable {
    struct Body {
        let call: () throws -> Void
    }

    // SAFETY: the closure was passed as `sending`: nobody else holds what it captures, and it is called on the loop's thread.
    // After `init`, only the one who found `isTaken` false touches it.
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

    /// The closure, for the first who asks.
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
