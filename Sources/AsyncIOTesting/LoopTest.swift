public import AsyncIO
import CAsyncIO

/// Runs a test's `body` as a task of a new loop, on a separate thread, and proves that it left nothing behind.
///
/// ```swift
/// @Test(arguments: TestLoop.all)
/// func sleeps(kind: TestLoop) async throws {
///     try await withLoop(kind) { loop in try await loop.sleep(for: .milliseconds(1)) }
/// }
/// ```
///
/// Throws what the body throws. Otherwise, throws a ``LoopTestFailure`` that lists all problems: the time limit expired
/// (with the pending work); the loop still had callbacks, timers, tasks or connections when the body had ended, or
/// after its `close()`; the exception handler was called more or less often than `options` says; or something retains
/// the loop. The check waits for work that is about to end by itself, such as a `connectionLost` in the next iteration.
///
/// The body sees the caller's task-local values, so a test library knows which test an expectation belongs to.
public func withLoop<Value: Sendable>(
    _ kind: LoopKind = .auto, _ options: LoopTestOptions = LoopTestOptions(),
    _ body: sending @concurrent @escaping (EventLoop) async throws -> Value
) async throws -> Value {
    try await withLoop(makeLoop: { try kind.makeLoop() }, options, body)
}

/// Runs a test's `body` on a loop that `makeLoop` creates, for example with a scripted selector. Everything else is as
/// in `withLoop` with a kind.
public func withLoop<Loop: EventLoop, Value: Sendable>(
    makeLoop: () throws -> Loop, _ options: LoopTestOptions = LoopTestOptions(),
    _ body: sending @concurrent @escaping (Loop) async throws -> Value
) async throws -> Value {
    let body = AsyncBody(call: body)
    return try await LoopTestGate.pass {
        let (task, handover) = start(body, on: try makeLoop())
        do {
            try await runTest(handover.take, options) { loop in try loop.runForever() }
        } catch {
            // Work that is left behind is a consequence of the body's own error.
            if (error as? LoopTestFailure)?.bodyHasEnded == true, case .failure(let cause) = await task.result {
                throw cause
            }
            throw error
        }
        return try await task.value
    }
}

/// Queues the body on a loop that does not run yet, and hands the loop over to its thread.
///
/// The task is created here because of the caller's task-local values; the loop's own task inherits them from it.
private func start<Loop: EventLoop, Value: Sendable>(
    _ body: AsyncBody<Loop, Value>, on loop: Loop
) -> (Task<Value, any Error>, LoopHandover<Loop>) {
    let task = Task(executorPreference: loop) {
        defer { loop.stop() }
        return try await loop.createTask(name: "test") { try await body.call(loop) }.value
    }
    return (task, LoopHandover(loop))
}

/// Calls a test's `body` with a new loop, on a separate thread, and proves that it left nothing behind.
///
/// It is for tests that run, stop and close the loop themselves. Everything else is as in `withLoop`, except that the
/// body does not see the caller's task-local values, so a test library may not know which test a failed expectation
/// belongs to.
///
/// ```swift
/// try await withLoopThread { loop in
///     loop.callSoon { loop.stop() }
///     try loop.runForever()
/// }
/// ```
public func withLoopThread<Value: Sendable>(
    _ kind: LoopKind = .auto, _ options: LoopTestOptions = LoopTestOptions(),
    _ body: sending @escaping (EventLoop) throws -> Value
) async throws -> Value {
    try await withLoopThread(makeLoop: { try kind.makeLoop() }, options, body)
}

/// Calls a test's `body` with a loop that `makeLoop` creates on the loop's thread. Everything else is as in
/// `withLoopThread` with a kind.
public func withLoopThread<Loop: EventLoop, Value: Sendable>(
    makeLoop: @escaping @Sendable () throws -> Loop, _ options: LoopTestOptions = LoopTestOptions(),
    _ body: sending @escaping (Loop) throws -> Value
) async throws -> Value {
    let body = ThreadedBody(call: body)
    return try await LoopTestGate.pass { try await runTest(makeLoop, options) { loop in try body.call(loop) } }
}

/// Options of `withLoop` and `withLoopThread`.
public struct LoopTestOptions: Sendable {
    /// The test fails if it takes longer; its thread then continues on its own. The time before the test starts does
    /// not count: in one process, only twice as many tests as there are processors run a loop at the same time. On a
    /// slow system, or under a sanitizer, the environment variable `ASYNCIO_TEST_PATIENCE=4` makes all limits four
    /// times as long.
    public var timeLimit: Duration
    /// How often the exception handler must be called.
    public var unhandledErrors: Int
    /// Whether callbacks, timers, tasks and connections may remain when the body ends. They must be gone after the
    /// close in any case.
    public var allowsLeftoverWork: Bool

    /// Creates options; the defaults suit most tests.
    public init(timeLimit: Duration = .seconds(30), unhandledErrors: Int = 0, allowsLeftoverWork: Bool = false) {
        self.timeLimit = timeLimit
        self.unhandledErrors = unhandledErrors
        self.allowsLeftoverWork = allowsLeftoverWork
    }
}

extension LoopTestOptions {
    static let patience = max(1, Int(aio_environment_number("ASYNCIO_TEST_PATIENCE")))
}

/// The problems that were found at the end of a test.
public struct LoopTestFailure: Error, Sendable, CustomStringConvertible {
    /// The problems, one sentence each.
    public var problems: [String]
    var bodyHasEnded = true

    public var description: String { problems.joined(separator: "; ") }
}

/// Carries a test's body to its loop. SAFETY: it was passed as `sending`, so nothing else uses what it captures.
private struct AsyncBody<Loop: EventLoop, Value: Sendable>: @unchecked Sendable {
    let call: @concurrent (Loop) async throws -> Value
}

/// Does what ``AsyncBody`` does, for a body that is called on the loop's thread.
private struct ThreadedBody<Loop: EventLoop, Value: Sendable>: @unchecked Sendable {
    let call: (Loop) throws -> Value
}

/// A loop on its way from the thread that created it to the thread that runs it.
private final class LoopHandover<Loop: EventLoop>: Sendable {
    private let loop: Locked<Loop?>

    init(_ loop: Loop) {
        self.loop = Locked(loop)
    }

    /// To be called once.
    func take() -> Loop {
        loop.withLock { $0.take()! }
    }
}
