/// The tasks that wait for an object, in the order in which they will be chosen: first come, first served.
struct WaitQueue: ~Copyable {
    private var tokens = RingBuffer<WaiterToken>()
    /// At least the number of tokens whose tasks do not wait any more. They are removed many at a time, so that a
    /// cancelled wait costs constant time.
    private var staleCount = 0

    /// Adds the current task, which then suspends.
    mutating func add(on loop: EventLoop) -> WaiterToken {
        let token = loop.makeWaiter()
        tokens.append(token)
        return token
    }

    /// Removes the first task that still waits.
    mutating func popFirst(on loop: EventLoop) -> WaiterToken? {
        while let token = tokens.popFirst() {
            if loop.isWaiting(token) { return token }
        }
        return nil
    }

    /// Chooses the first task, which then resumes. Returns false if none waits.
    mutating func resumeFirst(on loop: EventLoop?) -> Bool {
        if tokens.isEmpty { return false }
        guard let loop, let token = popFirst(on: loop) else { return false }
        loop.settle(token, .ready)
        return true
    }

    /// Ends the waits of all tasks.
    mutating func resumeAll(_ outcome: Waiter.Outcome = .ready, on loop: EventLoop?) {
        guard let loop else { return }
        while let token = tokens.popFirst() { loop.settle(token, outcome) }
        staleCount = 0
    }

    /// Removes a task whose wait has ended before it was chosen.
    mutating func forget(_ token: WaiterToken, on loop: EventLoop) {
        staleCount += 1
        if staleCount > 16, staleCount * 2 > tokens.count { removeStale(on: loop) }
    }

    /// Whether so many tasks wait.
    mutating func hasAtLeast(_ count: Int, on loop: EventLoop?) -> Bool {
        tokens.count >= count && self.count(on: loop) >= count
    }

    /// The number of tasks that wait.
    mutating func count(on loop: EventLoop?) -> Int {
        guard let loop, !tokens.isEmpty else { return 0 }
        removeStale(on: loop)
        return tokens.count
    }

    private mutating func removeStale(on loop: EventLoop) {
        staleCount = 0
        tokens.filter { loop.isWaiting($0) }
    }
}

extension EventLoop {
    /// Suspends the current task until it is chosen from a queue. Returns whether it was chosen, and the error that it
    /// has to throw. A task that was cancelled after it was chosen, but before it could run, gets both, and passes the
    /// choice on.
    @inline(__always)
    final nonisolated(nonsending) func waitToBeChosen(
        _ token: WaiterToken, _ record: TaskRecord?
    ) async -> (wasChosen: Bool, error: (any Error)?) {
        switch await suspend(token, record) {
        case .ready, .pending: (true, isCancelled(record) ? CancellationError() : nil)
        case .cancelled: (false, CancellationError())
        case .closed: (false, EventLoopError.closed)
        }
    }

    /// Suspends the current task, which is chosen without waiting in a queue, until the tasks that were chosen before
    /// it have continued. Returns what `waitToBeChosen` does.
    final nonisolated(nonsending) func waitBehindChosen(
        _ record: TaskRecord?
    ) async -> (wasChosen: Bool, error: (any Error)?) {
        await yield()
        return (true, isCancelled(record) ? CancellationError() : nil)
    }

    /// Whether the current task, which has this record, is cancelled.
    final func isCancelled(_ record: TaskRecord?) -> Bool {
        record.map { $0.isCancelledNow } ?? Task.isCancelled
    }
}
