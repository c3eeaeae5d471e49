import Synchronization

/// A callback that another thread sent with `callSoonThreadsafe`.
public final class ThreadsafeHandle: @unchecked Sendable {
    private let message: CallbackMessage

    init(_ message: CallbackMessage) {
        self.message = message
    }

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
    private let site: CallSite

    init(_ body: Body, site: CallSite) {
        self.body = body
        self.site = site
    }

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

/// Carries a value across an isolation boundary where the library itself guarantees that only one side uses it.
struct UncheckedSendable<Value>: @unchecked Sendable {
    let value: Value
}

/// Carries an async function across; the same promise. A type of its own, since a generic one would wrap the function.
struct SentOperation<Result>: @unchecked Sendable {
    let call: nonisolated(nonsending) () async throws -> Result
}

/// Where something was scheduled, for reports. Costs nothing: the compiler fills it in.
public struct CallSite: Sendable, CustomStringConvertible {
    public var fileID: StaticString
    public var line: UInt

    public init(fileID: StaticString, line: UInt) {
        self.fileID = fileID
        self.line = line
    }

    public var description: String { "\(fileID):\(line)" }
}
