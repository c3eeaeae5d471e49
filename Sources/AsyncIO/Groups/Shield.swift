/// Runs an operation that is not cancelled with its caller. asyncio: `shield`.
///
/// ```swift
/// try await shield { try await save(document) }
/// ```
///
/// The operation is a task of the running loop. When the caller is cancelled before the operation has ended, it gets a
/// `CancellationError` at once, and the operation continues. If the operation fails later, the error goes to the
/// exception handler. When the loop shuts down, the operation is cancelled like every other task. Throws `.notRunning`
/// without a running loop.
public func shield<Success>(
    fileID: StaticString = #fileID, line: UInt = #line, _ operation: @concurrent @escaping () async throws -> Success
) async throws -> Success {
    let shielded = Shielded<Success>(try getRunningLoop(), CallSite(fileID: fileID, line: line))
    return try await shielded.run(SentBody(call: operation))
}

/// Waits for a task; everything else is as in ``shield(fileID:line:_:)``.
public func shield<Success: Sendable, Failure: Error>(
    _ task: Task<Success, Failure>, fileID: StaticString = #fileID, line: UInt = #line
) async throws -> Success {
    try await shield(fileID: fileID, line: line) { try await task.value }
}

private final class Shielded<Success>: @unchecked Sendable {
    // SAFETY: everything is accessed on the loop's thread only, by the operation's task or by the caller, which has
    // hopped there.
    private let loop: EventLoop
    private let record: CreatedTask
    private var value: Success?
    private var error: (any Error)?
    private var hasEnded = false
    private var isAbandoned = false
    private var waiter: WaiterToken?

    init(_ loop: EventLoop, _ site: CallSite) {
        self.loop = loop
        record = CreatedTask(loop: loop, name: "shield", site: site)
    }

    nonisolated(nonsending) func run(_ operation: SentBody<Success>) async throws -> Success {
        try await loop.withAffinity { record in try await self.runOnLoop(operation, record).value }
    }

    private nonisolated(nonsending) func runOnLoop(
        _ operation: SentBody<Success>, _ caller: TaskRecord?
    ) async throws -> UncheckedSendable<Success> {
        record.whenEnded = { [self] error in end(error) }
        do {
            _ = try loop.start(record, nil, false) { self.value = try await operation.call() }
        } catch {
            record.whenEnded = nil
            throw error
        }
        while !hasEnded {
            let token = loop.makeWaiter()
            waiter = token
            let outcome = await loop.suspend(token, caller)
            waiter = nil
            if hasEnded { break }
            if outcome == .cancelled {
                isAbandoned = true
                throw CancellationError()
            }
            try loop.check(outcome)
        }
        if let error { throw error }
        return UncheckedSendable(value: value!)
    }

    private func end(_ error: (any Error)?) {
        hasEnded = true
        self.error = error
        if let waiter { loop.settle(waiter, .ready) }
        if isAbandoned, let error { loop.reportUnread(error, of: record) }
    }
}
