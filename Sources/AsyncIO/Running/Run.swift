import CAsyncIO

/// Runs `body` on a new event loop until it ends, on the calling thread, and closes the loop. asyncio: `run`.
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
/// The body takes the loop, or nothing: `run { try await work() }`.
///
/// At the end the tasks that are left are cancelled and awaited, so the function returns when everything of the loop has
/// ended. Throws what `body` throws, `.anotherLoopRunning` on a thread that runs a loop, and `.calledFromTask` within
/// a Swift task: then `await` instead.
///
/// **Ctrl-C** on the main thread, unless the program has decided otherwise about SIGINT: the first one cancels the main task. If
/// it ends because of that, the process ends by SIGINT, as it would have without the library, but after everything of the
/// loop has ended; so a shell learns of it. The second Ctrl-C ends the process at once. A program that wants to go on
/// uses a ``Runner``, which throws `.interrupted` instead, or ``EventLoop/addSignalHandler(_:fileID:line:_:)``.
///
/// - Parameters:
///   - isDebug: Switches the loop's ``DebugOptions/isEnabled`` on or off; `nil` leaves it as it is.
///   - loopFactory: Makes the loop to use; by default the process's policy does, and the loop is also set as the thread's.
///   - body: Gets the loop if it takes a parameter, which may be of the class that the factory makes. For another class it
///     is not called, and `run` throws `.invalidArgument`.
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

/// Runs `body` on a new event loop of the given kind until it ends.
///
/// ```swift
/// try run(on: .poll) { loop in
///     try await loop.sleep(for: .milliseconds(100))
/// }
/// ```
///
/// Everything else is as with ``run(isDebug:loopFactory:fileID:line:_:)``. Throws what
/// ``LoopKind/makeLoop(clock:fileID:line:)`` throws, too.
@available(*, noasync, message: "run blocks its thread; call it from a main() that is not async")
public func run<each Loop: EventLoop, Result>(
    on kind: LoopKind, isDebug: Bool? = nil, fileID: StaticString = #fileID, line: UInt = #line,
    _ body: sending @concurrent @escaping (repeat each Loop) async throws -> sending Result
) throws -> sending Result {
    try run(
        isDebug: isDebug, loopFactory: { try kind.makeLoop(fileID: fileID, line: line) }, fileID: fileID, line: line,
        body)
}
