public import AsyncIOSystem

/// Runs `body`, and cancels it when it takes longer than `duration`. asyncio: `timeout`, `wait_for`.
///
/// ```swift
/// let line = try await withTimeout(.seconds(5)) { try await reader.readLine() }
/// ```
///
/// Throws `.timedOut` if the time passed and `body` then ended by its cancellation; a result or another error that `body` came
/// to is passed on. Waits in any case until `body` has ended. A cancellation of the surrounding task reaches `body` and is
/// thrown as such. A duration of zero or less cancels at the first suspension. Needs a running loop, or throws `.notRunning`.
@inlinable
public func withTimeout<Result>(
    _ duration: Duration, fileID: StaticString = #fileID, line: UInt = #line,
    _ body: @concurrent () async throws -> Result
) async throws -> Result {
    let loop = try getRunningLoop()
    let deadline = loop.now.advanced(by: duration)
    let call = LimitedCall<Result>(loop: loop, deadline: deadline, duration: duration, fileID: fileID, line: line)
    return try await withoutActuallyEscaping(body, do: call.run)
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
    /// Swift's cancellation cannot be taken back, so `body` runs in a task of its own, which begins at once. A body that does not
    /// wait costs neither a timer nor an iteration of the loop.
    @inlinable
    public final func withDeadline<Result>(
        _ deadline: LoopInstant, fileID: StaticString = #fileID, line: UInt = #line,
        _ body: @concurrent () async throws -> Result
    ) async throws -> Result {
        let call = LimitedCall<Result>(loop: self, deadline: deadline, duration: nil, fileID: fileID, line: line)
        return try await withoutActuallyEscaping(body, do: call.run)
    }
}

/// A call with a time limit. A type of its own, so that the body can be passed on as escaping: the compiler's check of isolation
/// regions takes a closure in `withDeadline` for a race.
///
/// Inlinable, as is all that is generic here: specialised in the caller's module, there is little between the task and the body.
@usableFromInline
struct LimitedCall<Result> {
    @usableFromInline let loop: EventLoop
    @usableFromInline let deadline: LoopInstant
    /// For the error; `nil` for a deadline.
    @usableFromInline let duration: Duration?
    @usableFromInline let fileID: StaticString
    @usableFromInline let line: UInt

    @inlinable
    init(loop: EventLoop, deadline: LoopInstant, duration: Duration?, fileID: StaticString, line: UInt) {
        self.loop = loop
        self.deadline = deadline
        self.duration = duration
        self.fileID = fileID
        self.line = line
    }

    @inlinable
    nonisolated(nonsending) func run(
        _ body: @concurrent @escaping () async throws -> Result
    ) async throws -> Result {
        let record = LimitedTask(loop, deadline, duration, fileID, line, body)
        if loop.isOnLoop, record.findCaller(#isolation) {
            return try await runOnLoop(record)
        }
        return try await loop.hop("withDeadline") { try await runOnLoop(record) }
    }

    @inlinable @inline(__always)
    nonisolated(nonsending) func runOnLoop(_ record: LimitedTask<Result>) async throws -> Result {
        // SAFETY: the caller is suspended until the body's task has ended: one of the two uses what it captures.
        try loop.checkOpen()
        record.assignID()
        if loop.hasTaskFactory, let body = record.body { record.body = try loop.applyTaskFactory(body, record) }
        record.register()
        // It throws nothing, but a task that cannot throw would call the closure by a thunk.
        let task: Task<Void, any Error>
        if #available(macOS 26, *) {
            task = Task.immediate(executorPreference: loop) { await record.run() }
        } else {
            task = Task(executorPreference: loop) { await record.run() }
        }
        record.started(unsafeBitCast(task, to: UInt.self))
        if !record.isFinished { await record.waitForEnd(of: task) }
        return try record.outcome()
    }
}

/// The task that runs the body of a time limit.
@usableFromInline
final class LimitedTask<Result>: LimitedTaskRecord, @unchecked Sendable {
    @exclusivity(unchecked) @usableFromInline var body: (@concurrent () async throws -> Result)?
    @exclusivity(unchecked) @usableFromInline var result = ResultBox<Result>()

    @inlinable
    init(
        _ loop: EventLoop, _ deadline: LoopInstant, _ duration: Duration?, _ fileID: StaticString, _ line: UInt,
        _ body: @concurrent @escaping () async throws -> Result
    ) {
        self.body = body
        super.init(loop, deadline, duration, fileID, line)
    }

    /// The task, from its first step to its last.
    @inlinable @inline(__always) @concurrent
    final func run() async {
        let handler = begin()
        defer { end(handler) }
        do {
            if let body = body.take() { result.store(try await body()) }
        } catch {
            self.error = error
        }
    }

    @inlinable @inline(__always)
    final func outcome() throws -> Result {
        if let error = limitError() { throw error }
        return result.take()
    }
}

/// A result that is stored once and taken once, in the object that has the box if it is small.
///
/// Not an optional: the object's `deinit` is compiled once for all types, and would have to look the optional's up.
@usableFromInline
struct ResultBox<Result> {
    // SAFETY: two words hold the result, or its address. `isFull` says whether there is one.
    @usableFromInline var words: (UInt, UInt) = (0, 0)
    @usableFromInline var isFull = false

    @inlinable
    init() {}

    @inlinable @inline(__always)
    static var isSmall: Bool { MemoryLayout<Result>.size <= 16 && MemoryLayout<Result>.alignment <= 8 }

    @inlinable @inline(__always)
    mutating func store(_ result: Result) {
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

    @inlinable @inline(__always)
    mutating func take() -> Result {
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
