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
/// - Parameter loopFactory: The loop to use; by default one of the process's policy, which is also set as the thread's.
@available(*, noasync, message: "run blocks its thread; call it from a main() that is not async")
public func run<Result>(
    loopFactory: (() throws -> EventLoop)? = nil, _ body: sending @escaping () async throws -> sending Result
) throws -> sending Result {
    if TaskIdentity.current != .none && runningLoop == nil { throw EventLoopError.calledFromTask("run") }
    if runningLoop != nil { throw EventLoopError.anotherLoopRunning }
    let loop = try loopFactory?() ?? newEventLoop()
    if loopFactory == nil { setEventLoop(loop) }
    defer { if loopFactory == nil { setEventLoop(nil) } }
    do {
        let result = try loop.runUntilComplete(body)
        try loop.cancelTasksAndClose()
        return result
    } catch {
        try? loop.cancelTasksAndClose()
        throw error
    }
}

extension EventLoop {
    /// Ends what is left, then the loop.
    final func cancelTasksAndClose() throws {
        if isClosed { return }
        try drainTasks()
        try close()
    }
}
