import CAsyncIO

/// Creates an event loop, runs `body` on it until it ends, on the calling thread, and closes the loop. asyncio: `run`.
///
/// ```swift
/// import AsyncIO
///
/// try run { loop in
///     try await loop.sleep(for: .milliseconds(100))
///     print("done")
/// }
/// ```
///
/// The body may take the loop as its parameter, which may have the class that the factory creates, or none:
/// `run { try await work() }`. The other parameters are those of ``Runner/init(isDebug:loopFactory:)``.
///
/// When the body has ended, the remaining tasks are cancelled and awaited, so nothing is left on the loop. Throws what
/// `body` throws, `.anotherLoopRunning` on a thread that runs a loop, `.calledFromTask` in a Swift task, where you can
/// `await` instead, and `.invalidArgument` if the loop has another class than the parameter.
///
/// **Ctrl-C** cancels the main task, as with a ``Runner``. But if the task ends because of that, the process terminates
/// by SIGINT after everything on the loop has ended, so a shell sees the same exit status as without the library. A
/// program that wants to continue uses a ``Runner`` or ``EventLoop/addSignalHandler(_:fileID:line:_:)``.
@available(*, noasync, message: "run blocks its thread; call it from a main() that is not async")
public func run<each Loop: EventLoop, Result>(
    isDebug: Bool? = nil, loopFactory: (() throws -> EventLoop)? = nil, fileID: StaticString = #fileID,
    line: UInt = #line, _ body: sending @concurrent @escaping (repeat each Loop) async throws -> sending Result
) throws -> sending Result {
    let runner = Runner(isDebug: isDebug, loopFactory: loopFactory)
    do {
        let result = try runner.run(fileID: fileID, line: line, body)
        try runner.close()
        return result
    } catch {
        try? runner.close()
        if runner.wasInterrupted { aio_end_by_interrupt() }
        throw error
    }
}

/// Runs `body` on a loop of the given kind; everything else is as in ``run(isDebug:loopFactory:fileID:line:_:)``. Also
/// throws what ``LoopKind/makeLoop(clock:)`` throws.
@available(*, noasync, message: "run blocks its thread; call it from a main() that is not async")
public func run<each Loop: EventLoop, Result>(
    on kind: LoopKind, isDebug: Bool? = nil, fileID: StaticString = #fileID, line: UInt = #line,
    _ body: sending @concurrent @escaping (repeat each Loop) async throws -> sending Result
) throws -> sending Result {
    try run(isDebug: isDebug, loopFactory: { try kind.makeLoop() }, fileID: fileID, line: line, body)
}
