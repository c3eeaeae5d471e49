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

/// Carries a value across an isolation boundary where the library itself guarantees that only one side uses it.
struct UncheckedSendable<Value>: @unchecked Sendable {
    let value: Value
}

/// Carries an async function across; the same promise. A type of its own, since a generic one would wrap the function.
struct SentOperation<Result>: @unchecked Sendable {
    let call: nonisolated(nonsending) () async throws -> Result
}

/// Carries an async function of the user's across; the same promise.
///
/// Users' functions are `@concurrent` in the type system, which means here: they run where their task does, on the loop, and
/// share an isolation with all other nonisolated functions. So they call plain helpers also in a module with default settings.
struct SentBody<Result>: @unchecked Sendable {
    let call: @concurrent () async throws -> Result

    @concurrent
    fileprivate func callInTask() async throws -> UncheckedSendable<Result> {
        UncheckedSendable(value: try await call())
    }
}

/// As ``SentBody``, of a function that cannot throw.
struct SentValueBody<Result>: @unchecked Sendable {
    let call: @concurrent () async -> Result
}

/// Calls a user's function from one that stays on its caller's thread.
nonisolated(nonsending) func callBody<Result>(_ body: @concurrent () async throws -> Result) async throws -> Result {
    try await withoutActuallyEscaping(body, do: BodyCall<Result>().run)
}

/// `callBody`, with a function that may be passed on as escaping.
private struct BodyCall<Result> {
    nonisolated(nonsending) func run(_ body: @concurrent @escaping () async throws -> Result) async throws -> Result {
        // SAFETY: the caller is suspended until the body has ended: one of the two uses what it captures, and its result.
        try await SentBody(call: body).callInTask().value
    }
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
