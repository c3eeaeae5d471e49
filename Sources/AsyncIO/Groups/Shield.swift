/// Runs an operation that is not cancelled with its caller. asyncio: `shield`.
///
/// ```swift
/// try await shield { try await save(document) }
/// ```
///
/// The operation is a task of the running loop. When the caller is cancelled before the operation has ended, it gets a
/// `CancellationError` at once, and the operation continues; its later error goes to the exception handler. When the
/// loop shuts down, the operation is cancelled like every other task. Throws `.notRunning` without a running loop.
public func shield<Success>(
    fileID: StaticString = #fileID, line: UInt = #line, _ operation: @concurrent @escaping () async throws -> Success
) async throws -> Success {
    let completions = Completions(loop: try getRunningLoop(), site: CallSite(fileID: fileID, line: line))
    let slot = OperationValue<Success>()
    let sent = SentBody { slot.value = try await operation() }
    try await completions.loop.withAffinity { record in
        completions.start(0, name: "shield", sent)
        while completions.ended.isEmpty {
            if try await completions.waitForNext(record) || !completions.ended.isEmpty { continue }
            completions.isAbandoned = true
            throw CancellationError()
        }
        if let error = completions.errors[0] { throw error }
    }
    return slot.taken()
}

/// Waits for a task; everything else is as in ``shield(fileID:line:_:)``.
public func shield<Success: Sendable, Failure: Error>(
    _ task: Task<Success, Failure>, fileID: StaticString = #fileID, line: UInt = #line
) async throws -> Success {
    try await shield(fileID: fileID, line: line) { try await task.value }
}
