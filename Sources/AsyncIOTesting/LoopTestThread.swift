import AsyncIO
import CAsyncIO
import SystemPackage

/// A value that one task waits for. The first value that is set counts.
final class TestOutcome<Value: Sendable>: Sendable {
    private enum State {
        case empty
        case waited(CheckedContinuation<Value, any Error>)
        case fulfilled(Result<Value, any Error>)
        case taken
    }

    private let state = Locked(State.empty)

    func fulfil(_ result: Result<Value, any Error>) {
        let waiter = state.withLock { state -> CheckedContinuation<Value, any Error>? in
            switch state {
            case .waited(let continuation):
                state = .taken
                return continuation
            case .empty:
                state = .fulfilled(result)
                return nil
            case .fulfilled, .taken: return nil
            }
        }
        waiter?.resume(with: result)
    }

    /// May be read once. The object does not retain the value.
    var value: Value {
        get async throws {
            try await withCheckedThrowingContinuation { continuation in
                let result = state.withLock { state -> Result<Value, any Error>? in
                    guard case .fulfilled(let result) = state else {
                        state = .waited(continuation)
                        return nil
                    }
                    state = .taken
                    return result
                }
                if let result { continuation.resume(with: result) }
            }
        }
    }
}

/// Runs `use` with a new loop on a new thread, and checks what is left. The calling thread is not blocked.
func runTest<Loop: EventLoop, Value: Sendable>(
    _ makeLoop: @escaping @Sendable () throws -> Loop, _ options: LoopTestOptions,
    _ use: sending @escaping (Loop) throws -> Value
) async throws -> Value {
    let ended = TestOutcome<Value>()
    let current = CurrentLoop()
    let body = ThreadBody {
        ended.fulfil(Result { try LeakCheck(options: options, current: current).run(makeLoop, use) })
    }
    try body.startThread()
    let watchdog = Task {
        let limit = options.timeLimit * LoopTestOptions.patience
        try await Task.sleep(for: limit)
        let problem = "the test takes longer than \(limit); \(await current.describe())"
        ended.fulfil(.failure(LoopTestFailure(problems: [problem], bodyHasEnded: false)))
    }
    defer { watchdog.cancel() }
    return try await ended.value
}

/// The function that a new thread runs.
private final class ThreadBody: @unchecked Sendable {
    private let call: () -> Void

    init(_ call: @escaping () -> Void) {
        self.call = call
    }

    func startThread() throws(IOError) {
        let argument = Unmanaged.passRetained(self)
        let entry: @convention(c) (UnsafeMutableRawPointer) -> Void = { argument in
            Unmanaged<ThreadBody>.fromOpaque(argument).takeRetainedValue().call()
        }
        let result = aio_thread_start(entry, argument.toOpaque(), "asyncio-test")
        if result < 0 {
            argument.release()
            throw IOError(Errno(rawValue: -result), operation: "start a thread for a test")
        }
    }
}

/// The loop of the current test, for the watchdog.
final class CurrentLoop: Sendable {
    private let loop = Locked<EventLoop?>(nil)

    func set(_ new: EventLoop?) {
        // The former loop is released outside the lock.
        let former = loop.withLock { loop in
            let former = loop
            loop = new
            return former
        }
        withExtendedLifetime(former) {}
    }

    /// Describes what the loop is waiting for. Returns soon, even if the loop does not respond.
    func describe() async -> String {
        guard let loop = loop.withLock({ $0 }) else { return "the loop no longer exists" }
        let answer = TestOutcome<String>()
        do {
            try loop.callSoonThreadsafe { answer.fulfil(.success("pending: \(loop.pendingWork.summary)")) }
        } catch {
            return "the loop is closed"
        }
        let deadline = Task {
            try await Task.sleep(for: .seconds(10))
            answer.fulfil(.success("the loop's thread does not return to its loop"))
        }
        defer { deadline.cancel() }
        return (try? await answer.value) ?? ""
    }
}
