import CAsyncIO

/// Runs `body` on a new event loop until it ends, on the calling thread, and closes the loop. asyncio: `run`.
///
/// ```swift
/// import AsyncIO
///
/// try run {
///     let loop = try getRunningLoop()
///     try await loop.sleep(for: .milliseconds(100))
///     print("done")
/// }
/// ```
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
///   - isDebug: Switches the loop's ``EventLoop/isDebug`` on or off; `nil` leaves it as it is.
///   - loopFactory: Makes the loop to use; by default the process's policy does, and the loop is also set as the thread's.
@available(*, noasync, message: "run blocks its thread; call it from a main() that is not async")
public func run<Result>(
    isDebug: Bool? = nil, loopFactory: (() throws -> EventLoop)? = nil, fileID: StaticString = #fileID,
    line: UInt = #line, _ body: sending @escaping () async throws -> sending Result
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
