public import AsyncIOSystem

/// Runs `body`, and cancels it if it takes longer than `duration`. asyncio: `timeout`, `wait_for`.
///
/// ```swift
/// let line = try await withTimeout(.seconds(5)) { try await reader.readLine() }
/// ```
///
/// Always waits until `body` has ended. Throws `.timedOut` if the time limit expired and `body` then ended with a
/// `CancellationError`; a result or another error of `body` is passed on. A cancellation of the surrounding task
/// cancels `body` and throws a `CancellationError`. A duration of zero or less cancels `body` at its first suspension.
/// Throws `.notRunning` without a running loop.
@inlinable
public func withTimeout<Result>(
    _ duration: Duration, fileID: StaticString = #fileID, line: UInt = #line,
    _ body: @concurrent () async throws -> Result
) async throws -> Result {
    let loop = try getRunningLoop()
    let record = LimitedTask<Result>(loop, loop.now.advanced(by: duration), duration, fileID, line)
    return try await loop.limit(record, body)
}

/// Runs `body`, and cancels it when the running loop's clock has reached `deadline`. asyncio: `timeout_at`.
@inlinable
public func withDeadline<Result>(
    _ deadline: LoopInstant, fileID: StaticString = #fileID, line: UInt = #line,
    _ body: @concurrent () async throws -> Result
) async throws -> Result {
    try await getRunningLoop().withDeadline(deadline, fileID: fileID, line: line, body)
}

extension EventLoop {
    /// Runs `body` on this loop, and cancels it when the loop's clock has reached `deadline`.
    ///
    /// Swift's cancellation cannot be undone, so `body` runs in a separate task, which begins at once. A body that does
    /// not wait costs neither a timer nor an iteration of the loop.
    @inlinable
    public final func withDeadline<Result>(
        _ deadline: LoopInstant, fileID: StaticString = #fileID, line: UInt = #line,
        _ body: @concurrent () async throws -> Result
    ) async throws -> Result {
        try await limit(LimitedTask<Result>(self, deadline, nil, fileID, line), body)
    }

    @inlinable @inline(__always)
    final nonisolated(nonsending) func limit<Result>(
        _ record: LimitedTask<Result>, _ body: @concurrent () async throws -> Result
    ) async throws -> Result {
        // SAFETY: the record does not retain the loop, which lives until this call has ended.
        // A method gets the escaping body, because the compiler's check of isolation regions finds a race in a closure.
        try await withoutActuallyEscaping(body, do: record.call)
    }
}

/// The task that runs the body of a time limit. Everything generic here is inlinable: when it is specialised in the
/// caller's module, little remains between the task and the body.
@usableFromInline final class LimitedTask<Result>: LimitedTaskRecord, @unchecked Sendable {
    @exclusivity(unchecked) @usableFromInline var body: (@concurrent () async throws -> Result)?
    @exclusivity(unchecked) @usableFromInline var result = ResultBox<Result>()

    @inlinable
    override init(
        _ loop: EventLoop, _ deadline: LoopInstant, _ duration: Duration?, _ fileID: StaticString, _ line: UInt
    ) { super.init(loop, deadline, duration, fileID, line) }

    @inlinable
    nonisolated(nonsending) final func call(
        _ body: @concurrent @escaping () async throws -> Result
    ) async throws -> Result {
        if findCaller(#isolation) { return try await callOnLoop(body) }
        return try await loop.hop("withDeadline") { try await self.callOnLoop(body) }
    }

    @inlinable @inline(__always)
    nonisolated(nonsending) final func callOnLoop(
        _ body: @concurrent @escaping () async throws -> Result
    ) async throws -> Result {
        // SAFETY: the caller is suspended until the body's task has ended, so only one of them uses the captures.
        try loop.checkOpen()
        self.body = loop.hasTaskFactory ? try loop.applyTaskFactory(body, self) : body
        // The task throws nothing, but a task that cannot throw would call the closure through a thunk.
        let task: Task<Void, any Error>
        if #available(macOS 26, *) {
            task = Task.immediate(executorPreference: loop) { await self.run() }
        } else {
            task = Task(executorPreference: loop) { await self.run() }
        }
        started(unsafeBitCast(task, to: UInt.self))
        if !isFinished { await waitForEnd(of: task) }
        if let error = limitError() { throw error }
        return result.take()
    }

    @inlinable @inline(__always) @concurrent final func run() async {
        let handler = begin()
        defer { end(handler) }
        do {
            if let body = body.take() { result.store(try await body()) }
        } catch {
            self.error = error
        }
    }
}

/// A result that is stored once and taken once; a small one is stored inline. It is not an optional, because the
/// `deinit` of the object that contains the box is compiled once for all types, and would have to look up the
/// optional's type.
@usableFromInline struct ResultBox<Result> {
    // SAFETY: two words hold the result, or its address. `isFull` says whether there is one.
    @usableFromInline var words: (UInt, UInt) = (0, 0)
    @usableFromInline var isFull = false

    @inlinable init() {}

    @inlinable @inline(__always)
    static var isSmall: Bool { MemoryLayout<Result>.size <= 16 && MemoryLayout<Result>.alignment <= 8 }

    @inlinable @inline(__always) mutating func store(_ result: Result) {
        precondition(!isFull)
        isFull = true
        if Self.isSmall {
            withUnsafeMutableBytes(of: &words) { memory in
                _ = memory.baseAddress!.initializeMemory(as: Result.self, to: result)
            }
        } else {
            let memory = UnsafeMutablePointer<Result>.allocate(capacity: 1)
            memory.initialize(to: result)
            words.0 = UInt(bitPattern: memory)
        }
    }

    @inlinable @inline(__always) mutating func take() -> Result {
        precondition(isFull, "a body without an error has a result")
        isFull = false
        if Self.isSmall {
            return withUnsafeMutableBytes(of: &words) { $0.baseAddress!.assumingMemoryBound(to: Result.self).move() }
        }
        let memory = UnsafeMutablePointer<Result>(bitPattern: words.0)!
        defer { memory.deallocate() }
        return memory.move()
    }
}
