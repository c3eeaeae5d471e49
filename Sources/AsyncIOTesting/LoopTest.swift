public import AsyncIO
import CAsyncIO
import Synchronization

/// Runs a test's `body` as a task of a new loop, on a thread of its own, and proves that it left nothing behind.
///
/// ```swift
/// @Test(arguments: LoopKind.available)
/// func sleeps(kind: LoopKind) async throws {
///     try await withLoop(kind) { loop in try await loop.sleep(for: .milliseconds(1)) }
/// }
/// ```
///
/// What the body throws is thrown. Otherwise a ``LoopTestFailure`` is, with everything that is wrong: the time limit
/// passed (with what was pending), the loop still holds callbacks, timers, tasks or connections when the body has
/// ended, it does so after its `close()`, the exception handler was called more or less often than `options` says, or
/// something keeps the loop itself alive. What is about to end by itself, such as a `connectionLost` in the next tick,
/// is waited for.
///
/// The body sees the caller's task-local values, so a test library knows which test an expectation belongs to.
public func withLoop<Value: Sendable>(
    _ kind: LoopKind = .auto, _ options: LoopTestOptions = LoopTestOptions(),
    _ body: sending @concurrent @escaping (EventLoop) async throws -> Value
) async throws -> Value {
    try await withLoop(makeLoop: { try kind.makeLoop() }, options, body)
}

/// As `withLoop` of a kind, with a loop that `makeLoop` makes: one on a scripted selector, say.
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
            // Leftovers are a consequence of the body's own error.
            if (error as? LoopTestFailure)?.bodyHasEnded == true, case .failure(let cause) = await task.result {
                throw cause
            }
            throw error
        }
        return try await task.value
    }
}

/// Queues the body on a loop that does not run yet, and leaves the loop to its thread.
///
/// The task is made here, for the caller's task-local values; the loop's own task inherits them from it.
private func start<Loop: EventLoop, Value: Sendable>(
    _ body: AsyncBody<Loop, Value>, on loop: Loop
) -> (Task<Value, any Error>, LoopHandover<Loop>) {
    let task = Task(executorPreference: loop) {
        defer { loop.stop() }
        return try await loop.createTask(name: "test") { try await body.call(loop) }.value
    }
    return (task, LoopHandover(loop))
}

/// Calls a test's `body` with a new loop, on a thread of its own, and proves that it left nothing behind.
///
/// For tests that run, stop and close the loop themselves. All else is as with `withLoop`, but there are no task-local
/// values: a test library may not know the test of an expectation that fails here.
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

/// As `withLoopThread` of a kind, with a loop that `makeLoop` makes, on the loop's thread.
public func withLoopThread<Loop: EventLoop, Value: Sendable>(
    makeLoop: @escaping @Sendable () throws -> Loop, _ options: LoopTestOptions = LoopTestOptions(),
    _ body: sending @escaping (Loop) throws -> Value
) async throws -> Value {
    let body = ThreadedBody(call: body)
    return try await LoopTestGate.pass { try await runTest(makeLoop, options) { loop in try body.call(loop) } }
}

/// What `withLoop` and `withLoopThread` look at.
public struct LoopTestOptions: Sendable {
    /// The test fails when it takes longer, and its thread is left alone. The wait for its turn is not counted: of a
    /// process's tests, only twice as many as there are processors run a loop at the same time. Where programs are
    /// slower than they should be, such as under a sanitizer, the environment's `ASYNCIO_TEST_PATIENCE=4` makes all
    /// limits four times as long.
    public var timeLimit: Duration
    /// How often the exception handler is to be called.
    public var unhandledErrors: Int
    /// Whether the body may end with callbacks, timers, tasks and connections left. They must be gone after the close
    /// even so.
    public var mayLeaveWork: Bool

    public init(timeLimit: Duration = .seconds(30), unhandledErrors: Int = 0, mayLeaveWork: Bool = false) {
        self.timeLimit = timeLimit
        self.unhandledErrors = unhandledErrors
        self.mayLeaveWork = mayLeaveWork
    }
}

extension LoopTestOptions {
    static let patience = max(1, Int(aio_environment_number("ASYNCIO_TEST_PATIENCE")))
}

/// What is wrong at the end of a test.
public struct LoopTestFailure: Error, Sendable, CustomStringConvertible {
    /// One sentence each.
    public var problems: [String]
    var bodyHasEnded = true

    public var description: String { problems.joined(separator: "; ") }
}

/// Carries a test's body to its loop. SAFETY: it was passed as `sending`, so nobody else uses what it captures.
private struct AsyncBody<Loop: EventLoop, Value: Sendable>: @unchecked Sendable {
    let call: @concurrent (Loop) async throws -> Value
}

/// As ``AsyncBody``, for a body that is called on the loop's thread.
private struct ThreadedBody<Loop: EventLoop, Value: Sendable>: @unchecked Sendable {
    let call: (Loop) throws -> Value
}

/// A loop on its way from the thread that made it to the one that runs it.
private final class LoopHandover<Loop: EventLoop>: Sendable {
    private let loop: Mutex<Loop?>

    init(_ loop: Loop) {
        self.loop = Mutex(loop)
    }

    /// To be called once.
    func take() -> Loop {
        loop.withLock { $0.take()! }
    }
}
