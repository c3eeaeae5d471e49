/// Tasks of one loop that begin and end together. asyncio: `TaskGroup`.
///
/// ``withLoopTaskGroup(fileID:line:_:)`` creates the group. The children may use objects that are not `Sendable`, and
/// share them, because they all run on the loop's thread. The group itself is not `Sendable`.
///
/// - Thread: the loop's.
public final class LoopTaskGroup: CustomStringConvertible {
    /// The loop that runs the children.
    public let loop: EventLoop
    private var wasCancelled = false

    private let site: CallSite
    private var children: [ObjectIdentifier: TaskRecord] = [:]
    private var body: TaskRecord?
    private var hasBodyEnded = false
    private var bodyError: (any Error)?
    private var failure: (any Error)?
    private var wasChildCancelled = false
    private var wasCancelledFromOutside = false
    private var hasSeenCancellation = false
    private var hasEnded = false
    private var waiter: WaiterToken?

    init(loop: EventLoop, site: CallSite) {
        self.loop = loop
        self.site = site
    }

    /// Starts a child on the loop, with the parameters of the loop's `createTask`. asyncio: `TaskGroup.create_task`.
    ///
    /// If the child throws an error other than a cancellation, its siblings and the body are cancelled, and the group
    /// throws the error, whether or not the returned task is awaited. A child that was cancelled alone does not affect
    /// the others.
    ///
    /// A group that has failed, was cancelled or has ended rejects children: the returned task fails with
    /// `.invalidState`, and `operation` is released. A group that has ended also reports that to the exception handler.
    @discardableResult
    public func createTask<Success: Sendable>(
        name: String? = nil, priority: TaskPriority? = nil, eagerStart: Bool = false, fileID: StaticString = #fileID,
        line: UInt = #line, _ operation: @concurrent @escaping () async throws -> Success
    ) -> Task<Success, any Error> {
        loop.requireOnLoop("LoopTaskGroup.createTask")
        let record = CreatedTask(loop: loop, name: name, site: CallSite(fileID: fileID, line: line))
        if let refusal { return refuse(record, refusal) }
        adopt(record)
        do {
            let task = try loop.start(record, priority, eagerStart, operation)
            cancelIfEnding(record)
            return task
        } catch {
            childEnded(record, error)
            return Task { throw error }
        }
    }

    /// Starts a child that cannot fail, so reading its value needs no `try`.
    ///
    /// Such a child cannot be rejected, because the task must have a value. If the group has failed, was cancelled or
    /// has ended, the child is cancelled before its first step. A group that has ended does not wait for it.
    @discardableResult
    public func createTask<Success: Sendable>(
        name: String? = nil, priority: TaskPriority? = nil, eagerStart: Bool = false, fileID: StaticString = #fileID,
        line: UInt = #line, _ operation: @concurrent @escaping () async -> Success
    ) -> Task<Success, Never> {
        loop.requireOnLoop("LoopTaskGroup.createTask")
        let record = CreatedTask(loop: loop, name: name, site: CallSite(fileID: fileID, line: line))
        let isRefused = refusal != nil
        if !hasEnded { adopt(record) }
        let task = loop.start(record, priority, eagerStart && !isRefused, operation)
        if isRefused { task.cancel() }
        cancelIfEnding(record)
        return task
    }

    /// Whether the group was cancelled, by ``cancel()`` or together with the task that waits for it.
    public var isCancelled: Bool {
        loop.requireOnLoop("LoopTaskGroup.isCancelled")
        return wasCancelled
    }

    /// Cancels the children and the body. Returns whether there was something to cancel. asyncio: `TaskGroup.cancel`.
    ///
    /// A child or the body may call it. The group still waits for all of them. It then returns the body's value, or
    /// throws a `CancellationError` if the body has none because it was cancelled, unless the value's type is `Void`.
    @discardableResult public func cancel() -> Bool {
        loop.requireOnLoop("LoopTaskGroup.cancel")
        if wasCancelled || hasEnded { return false }
        wasCancelled = true
        cancelAll()
        return !isDone
    }

    // MARK: Children

    private var refusal: EventLoopError? {
        if hasEnded { return EventLoopError(.invalidState, "the task group has ended and takes no tasks") }
        if failure != nil { return EventLoopError(.invalidState, "the task group has failed and takes no tasks") }
        if wasCancelled { return EventLoopError(.invalidState, "the task group was cancelled and takes no tasks") }
        return nil
    }

    private func refuse<Success>(_ record: TaskRecord, _ refusal: EventLoopError) -> Task<Success, any Error> {
        if hasEnded { report("A task group that has ended rejected a task", refusal, record) }
        return Task { throw refusal }
    }

    private func adopt(_ record: CreatedTask) {
        children[ObjectIdentifier(record)] = record
        record.whenEnded = { [self, unowned record] error in childEnded(record, error) }
    }

    /// Cancels a child that ended the group in its eager first step, before it could be cancelled itself.
    private func cancelIfEnding(_ record: TaskRecord) {
        if failure != nil || wasCancelled { record.requestCancel() }
    }

    private func childEnded(_ record: TaskRecord, _ error: (any Error)?) {
        children[ObjectIdentifier(record)] = nil
        if let error {
            if error is CancellationError { wasChildCancelled = true } else { fail(error, record) }
        }
        wakeIfDone()
    }

    private func fail(_ error: any Error, _ record: TaskRecord) {
        if let failure {
            if !error.isSame(as: failure) { report("Another task of a failed task group failed", error, record) }
        } else if wasCancelledFromOutside {
            report("A task of a cancelled task group failed", error, record)
        } else {
            failure = error
            cancelAll()
        }
    }

    private func report(_ message: String, _ error: any Error, _ record: TaskRecord) {
        loop.report(ExceptionContext(message: message, error: error, origin: record.site, task: record.name))
    }

    private func cancelAll() {
        for record in Array(children.values) { record.requestCancel() }
        body?.requestCancel()
    }

    // MARK: The scope

    private var isDone: Bool { hasBodyEnded && children.isEmpty }

    private func wakeIfDone() {
        if isDone, let waiter { loop.settle(waiter, .ready) }
    }

    private func bodyEnded(_ error: (any Error)?, _ record: TaskRecord) {
        hasBodyEnded = true
        bodyError = error
        if let error {
            if error is CancellationError { cancelAll() } else if !wasCancelledFromOutside { fail(error, record) }
        }
        wakeIfDone()
    }

    /// Runs the group, in the task that waits for it, on the loop's thread.
    ///
    /// The body runs in a separate task, because Swift's cancellation cannot be undone.
    func run(_ operation: SentBody<Void>, _ record: TaskRecord?) async throws {
        let bodyRecord = CreatedTask(loop: loop, name: "task group", site: site)
        bodyRecord.whenEnded = { [self, unowned bodyRecord] error in bodyEnded(error, bodyRecord) }
        body = bodyRecord
        do {
            _ = try loop.start(bodyRecord, nil, true, operation.call)
        } catch {
            body = nil
            throw error
        }
        cancelIfEnding(bodyRecord)
        while !isDone {
            let token = loop.makeWaiter()
            waiter = token
            // A cancelled task remains cancelled, so its later waits would end at once.
            let end = await loop.suspend(token, record, endsWhenCancelled: !hasSeenCancellation)
            waiter = nil
            if end == .closed { throw EventLoopError.closed }
            if end == .cancelled { cancelFromOutside() }
        }
        hasEnded = true
        body = nil
        try checkOutcome()
    }

    private func cancelFromOutside() {
        hasSeenCancellation = true
        // A failure that occurred first is thrown.
        if failure == nil { wasCancelledFromOutside = true }
        wasCancelled = true
        cancelAll()
    }

    /// Throws the error that the group throws, if there is one.
    private func checkOutcome() throws {
        if let failure { throw failure }
        guard let bodyError else {
            if wasCancelledFromOutside, wasChildCancelled { throw CancellationError() }
            return
        }
        // The body's cancellation by `cancel()` is no error of the group, but leaves it without a value.
        if !wasCancelled || wasCancelledFromOutside || !(bodyError is CancellationError) { throw bodyError }
    }

    /// Such as `<LoopTaskGroup of <SelectorEventLoop epoll, running>>`.
    public var description: String { "<LoopTaskGroup of \(loop)\(loop.isOnLoop && wasCancelled ? ", cancelled" : "")>" }
}

@available(*, unavailable, message: "a task group belongs to its loop")
extension LoopTaskGroup: Sendable {}

extension Error {
    /// Whether this is probably the same error, passed on by a task that awaited the other task.
    fileprivate func isSame(as other: any Error) -> Bool {
        type(of: self) == type(of: other) && String(describing: self) == String(describing: other)
    }
}
