/// Runs `body` with a task group, and waits for all tasks of the group. asyncio: `async with TaskGroup()`.
///
/// ```swift
/// try run { loop in
///     var lines: [String] = []
///     try await withLoopTaskGroup { group in
///         group.createTask { lines.append("one") }
///         let two = group.createTask { () async throws -> String in
///             try await loop.sleep(for: .milliseconds(1))
///             return "two"
///         }
///         lines.append(try await two.value)
///     }
///     print(lines)
/// }
/// ```
///
/// No task of the group outlives the call. An error of a child or of the body cancels all others, and is thrown
/// unchanged when they have ended. Later errors go to the exception handler; asyncio collects them in an
/// `ExceptionGroup`, which has no counterpart in Swift's `catch`.
///
/// A cancellation of the calling task cancels the children and the body, and a `CancellationError` is thrown, unless
/// the body returned a value and no child was cancelled. Errors of children after it go to the exception handler.
///
/// The body runs on the running loop, in a separate task. Throws `.notRunning` without a running loop.
@discardableResult
public func withLoopTaskGroup<Result>(
    fileID: StaticString = #fileID, line: UInt = #line, _ body: @concurrent (LoopTaskGroup) async throws -> Result
) async throws -> Result {
    let call = GroupCall<Result>(loop: try getRunningLoop(), site: CallSite(fileID: fileID, line: line))
    return try await withoutActuallyEscaping(body, do: call.run)
}

/// It is a type with a method so that the body can be passed on as escaping.
private struct GroupCall<Result> {
    let loop: EventLoop
    let site: CallSite

    nonisolated(nonsending) func run(
        _ body: @concurrent @escaping (LoopTaskGroup) async throws -> Result
    ) async throws -> Result {
        let group = LoopTaskGroup(loop: loop, site: site)
        let slot = OperationValue<Result>()
        // SAFETY: the caller is suspended until the body's task has ended, so only one of them uses the captures.
        let sent = SentBody { slot.value = try await body(group) }
        try await loop.withAffinity { record in
            if loop.isClosed { throw EventLoopError.closed }
            try await group.run(sent, record)
        }
        // A body that `cancel()` has cancelled has a value only if it is `Void`.
        guard let value = slot.value ?? () as? Result else { throw CancellationError() }
        return value
    }
}
