import SystemPackage

/// Runs several entry points, one after another, on one loop, and closes it in order. asyncio: `Runner`.
///
/// ```swift
/// let runner = Runner()
/// defer { try? runner.close() }
/// let names = try runner.run { try await loadNames() }
/// for name in names { try runner.run { loop in try await greet(name, on: loop) } }
/// ```
///
/// The loop is made at the first use. What one run leaves, such as tasks and connections, rests until the next one.
/// Nothing else is carried over: a run sees the task-local values of its own caller.
///
/// **Ctrl-C.** While a run is under way on the main thread, and nothing else was decided for SIGINT, the first Ctrl-C cancels the
/// main task, and the second one ends the process by SIGINT at once, also if a callback never returns. If the main task
/// ends because it was cancelled so, `run` throws `.interrupted`; what else it throws or returns is passed on. A handler of
/// ``EventLoop/addSignalHandler(_:fileID:line:_:)`` takes the place of all this. Between two runs, and while the runner closes, Ctrl-C does
/// what it did before.
///
/// Not `Sendable`: a runner is its thread's.
public final class Runner {
    private enum State {
        case created, closed
        case open(EventLoop)
    }

    private let isDebug: Bool?
    private let loopFactory: (() throws -> EventLoop)?
    private var state = State.created
    /// Whether the last run ended by Ctrl-C. Not told by the error alone: a program may throw it itself.
    private(set) var wasInterrupted = false

    /// - Parameters:
    ///   - isDebug: Switches the loop's ``DebugOptions/isEnabled`` on or off; `nil` leaves it as it is.
    ///   - loopFactory: Makes the loop, which is the runner's from then on. By default the process's policy does, and the
    ///     loop is then also set as the thread's, until the runner is closed.
    public init(isDebug: Bool? = nil, loopFactory: (() throws -> EventLoop)? = nil) {
        self.isDebug = isDebug
        self.loopFactory = loopFactory
    }

    /// The runner's loop; makes it at the first call. asyncio: `get_loop`.
    ///
    /// Throws what making a loop throws, and `.runnerClosed`.
    public func getLoop() throws -> EventLoop {
        switch state {
        case .closed: throw EventLoopError.runnerClosed
        case .open(let loop): return loop
        case .created: break
        }
        let loop = try loopFactory?() ?? newEventLoop()
        state = .open(loop)
        if loopFactory == nil { setEventLoop(loop) }
        if let isDebug, !loop.isClosed {
            if loop.isOnLoop {
                loop.debug.isEnabled = isDebug
            } else {
                // It was made elsewhere, and becomes this thread's with its first run.
                try loop.callSoonThreadsafe { loop.debug.isEnabled = isDebug }
            }
        }
        return loop
    }

    /// Runs `body` as a task on the runner's loop until it ends, and returns its result. asyncio: `Runner.run`.
    ///
    /// The body takes the loop, or nothing. Its parameter may be of the class that the runner's factory makes; for another
    /// class it throws `.invalidArgument`.
    ///
    /// Throws what `body` throws, `.interrupted` after a Ctrl-C, `.runnerClosed` after ``close()``, `.alreadyRunning` and
    /// `.anotherLoopRunning` within a loop, `.calledFromTask` within a Swift task, and what
    /// ``EventLoop/runUntilComplete(fileID:line:_:)`` throws.
    @available(*, noasync, message: "Runner.run blocks its thread; call it from a main() that is not async")
    public func run<each Loop: EventLoop, Result>(
        fileID: StaticString = #fileID, line: UInt = #line,
        _ body: sending @concurrent @escaping (repeat each Loop) async throws -> sending Result
    ) throws -> sending Result {
        try checkMayBlock("Runner.run")
        let loop = try getLoop()
        wasInterrupted = false
        var watch: InterruptWatch?
        let result: Result
        do {
            let arguments = (repeat try loop.checked(as: (each Loop).self))
            result = try loop.runMain(
                "Runner.run", CallSite(fileID: fileID, line: line), { try await body(repeat each arguments) },
                prepare: { (cancel) throws(Errno) in watch = try InterruptWatch.begin(on: loop, cancel: cancel) })
        } catch {
            let outcome = watch.take()?.end() ?? .none
            wasInterrupted = outcome == .cameTooLate || outcome == .cancelledTask && error is CancellationError
            throw wasInterrupted ? EventLoopError.interrupted : error
        }
        wasInterrupted = watch.take()?.end() == .cameTooLate
        if wasInterrupted { throw EventLoopError.interrupted }
        return result
    }

    /// The loop, if there is one.
    var existingLoop: EventLoop? {
        if case .open(let loop) = state { return loop }
        return nil
    }

    var isClosed: Bool {
        if case .closed = state { return true }
        return false
    }

    /// Cancels the tasks that are left, runs until the last one has ended, and closes the loop. Idempotent. asyncio: `close`.
    ///
    /// Nobody is accepted meanwhile, and tasks that are started meanwhile are cancelled too. What a task then throws, other than
    /// `CancellationError`, goes to the loop's exception handler. Throws what a run throws; the runner is then still open.
    @available(*, noasync, message: "Runner.close blocks its thread; call it from a main() that is not async")
    public func close() throws {
        guard case .open(let loop) = state else {
            state = .closed
            return
        }
        try checkMayBlock("Runner.close")
        if !loop.isClosed {
            try loop.drainTasks()
            try loop.close()
        }
        if loopFactory == nil { setEventLoop(nil) }
        // The loop is released at the end of this function, by `loop`: not while the state changes.
        state = .closed
        withExtendedLifetime(loop) {}
    }

    /// Before a loop is made that could then not be run.
    private func checkMayBlock(_ function: String) throws(EventLoopError) {
        if let running = runningLoop {
            if case .open(let loop) = state, loop === running { throw .alreadyRunning }
            throw .anotherLoopRunning
        }
        if TaskIdentity.current != .none { throw .calledFromTask(function) }
    }
}

extension EventLoop {
    /// The loop as the class that a body's parameter names.
    ///
    /// One function with a pack of parameters, none or one, takes both forms of a body. With two overloads, the compiler
    /// reports an error inside the body as a wrong number of parameters.
    fileprivate final func checked<Loop: EventLoop>(as _: Loop.Type) throws(EventLoopError) -> Loop {
        guard let loop = self as? Loop else {
            throw EventLoopError(.invalidArgument, "the body takes a \(Loop.self), but the loop is a \(type(of: self))")
        }
        return loop
    }
}

@available(*, unavailable, message: "a runner belongs to its thread")
extension Runner: Sendable {}

extension Runner: CustomStringConvertible {
    /// Such as `<Runner <SelectorEventLoop epoll, idle>>`.
    public var description: String {
        if isClosed { return "<Runner closed>" }
        return existingLoop.map { "<Runner \($0)>" } ?? "<Runner without a loop yet>"
    }
}
