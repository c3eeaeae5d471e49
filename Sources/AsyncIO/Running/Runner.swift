import SystemPackage

/// Runs several entry points, one after another, on one loop, and then shuts the loop down. asyncio: `Runner`.
///
/// ```swift
/// let runner = Runner()
/// defer { try? runner.close() }
/// let names = try runner.run { try await loadNames() }
/// for name in names { try runner.run { loop in try await greet(name, on: loop) } }
/// ```
///
/// The loop is created at the first use. Unfinished tasks and connections are suspended between runs. Each run sees the
/// task-local values of its own caller.
///
/// **Ctrl-C.** During a run on the main thread, if SIGINT is not set otherwise, the first Ctrl-C cancels the main task,
/// and the second one ends the process by SIGINT at once, even if a callback never returns. If the main task ends
/// because of this cancellation, `run` throws `.interrupted`; any other error or result is passed on. A handler of
/// ``EventLoop/addSignalHandler(_:fileID:line:_:)`` replaces all of this. Between two runs, and while the runner
/// closes, Ctrl-C has its former effect.
///
/// A runner is not `Sendable`, because it belongs to its thread.
public final class Runner: CustomStringConvertible {
    private let isDebug: Bool?
    private let loopFactory: (() throws -> EventLoop)?
    private var loop: EventLoop?
    private var isClosed = false
    /// Whether the last run ended because of Ctrl-C. The error does not show it, because a program may throw it too.
    private(set) var wasInterrupted = false

    /// Creates a runner. `isDebug` turns the loop's ``DebugOptions/isEnabled`` on or off; `nil` leaves it unchanged.
    /// `loopFactory` creates the loop, which then belongs to the runner. By default, the process's policy creates it,
    /// and it is also set as the thread's loop until the runner is closed.
    public init(isDebug: Bool? = nil, loopFactory: (() throws -> EventLoop)? = nil) {
        self.isDebug = isDebug
        self.loopFactory = loopFactory
    }

    /// Returns the loop, which the first call creates. Throws the factory's errors and `.runnerClosed`. asyncio:
    /// `get_loop`.
    public func getLoop() throws -> EventLoop {
        if isClosed { throw EventLoopError.runnerClosed }
        if let loop { return loop }
        let loop = try loopFactory?() ?? newEventLoop()
        self.loop = loop
        if loopFactory == nil { setEventLoop(loop) }
        if let isDebug, !loop.isClosed {
            if loop.isOnLoop {
                loop.debug.isEnabled = isDebug
            } else {
                // The loop was created on another thread, and belongs to this one from its first run on.
                try loop.callSoonThreadsafe { loop.debug.isEnabled = isDebug }
            }
        }
        return loop
    }

    /// Runs `body` as a task on the runner's loop until it ends, and returns its result. asyncio: `Runner.run`.
    ///
    /// The body's parameter is as in ``run(isDebug:loopFactory:fileID:line:_:)``. Throws what `body` throws,
    /// `.interrupted` after a Ctrl-C, `.runnerClosed` after ``close()``, `.alreadyRunning` and `.anotherLoopRunning`
    /// within a running loop, `.calledFromTask` in a Swift task, and what
    /// ``EventLoop/runUntilComplete(fileID:line:_:)`` throws.
    @available(*, noasync, message: "Runner.run blocks its thread; call it from a main() that is not async")
    public func run<each Loop: EventLoop, Result>(
        fileID: StaticString = #fileID, line: UInt = #line,
        _ body: sending @concurrent @escaping (repeat each Loop) async throws -> sending Result
    ) throws -> sending Result {
        // Checked before a loop is created that could not be run.
        try checkMayBlock("Runner.run", loop)
        let loop = try getLoop()
        wasInterrupted = false
        var watch: InterruptWatch?
        let result: Result
        do {
            let arguments = (repeat try loop.checked(as: (each Loop).self))
            result = try loop.runMain(
                "Runner.run", CallSite(fileID: fileID, line: line), { try await body(repeat each arguments) },
                prepare: { (cancel) throws(Errno) in watch = try InterruptWatch(on: loop, cancel: cancel) })
        } catch {
            wasInterrupted = watch?.end(error) ?? false
            throw wasInterrupted ? EventLoopError.interrupted : error
        }
        wasInterrupted = watch?.end(nil) ?? false
        if wasInterrupted { throw EventLoopError.interrupted }
        return result
    }

    /// Cancels the remaining tasks, runs until the last one has ended, and closes the loop. Idempotent. asyncio:
    /// `close`.
    ///
    /// Meanwhile the servers accept no clients, and new tasks are cancelled too. A task's error, other than
    /// `CancellationError`, goes to the exception handler. Throws what a run throws; the runner is then still open.
    @available(*, noasync, message: "Runner.close blocks its thread; call it from a main() that is not async")
    public func close() throws {
        if let loop {
            try checkMayBlock("Runner.close", loop)
            if !loop.isClosed {
                try loop.drainTasks()
                try loop.close()
            }
            if loopFactory == nil { setEventLoop(nil) }
        }
        isClosed = true
        loop = nil
    }

    /// Such as `<Runner <SelectorEventLoop epoll, idle>>`.
    public var description: String {
        if isClosed { return "<Runner closed>" }
        return loop.map { "<Runner \($0)>" } ?? "<Runner without a loop yet>"
    }
}

extension EventLoop {
    /// One function with a parameter pack of length zero or one accepts both forms of a body. With two overloads, the
    /// compiler would report an error inside the body as a wrong number of parameters.
    fileprivate final func checked<Loop: EventLoop>(as _: Loop.Type) throws(EventLoopError) -> Loop {
        guard let loop = self as? Loop else {
            throw EventLoopError(
                .invalidArgument, "the body takes a parameter of type \(Loop.self), but the loop is a \(type(of: self))"
            )
        }
        return loop
    }
}

@available(*, unavailable, message: "a runner belongs to its thread")
extension Runner: Sendable {}
