/// A number of permits that tasks take and return: what a ``Lock`` (one permit) and a ``Semaphore`` have in common.
///
/// A permit that is returned while tasks wait goes to the first of them and never becomes available, so no other task
/// can overtake it.
@usableFromInline final class Permits {
    // Each of these is accessed within one statement, so the dynamic check for overlapping accesses could find nothing.
    @exclusivity(unchecked) var binding = LoopBinding()
    @exclusivity(unchecked) private var waiters = WaitQueue()
    @exclusivity(unchecked) private(set) var available: Int

    init(_ count: Int) { available = count }

    /// The number of tasks that wait.
    var waitingCount: Int { waiters.count(on: binding.loop) }

    @inline(__always) private func takeNow() -> Bool {
        if available <= 0 { return false }
        available -= 1
        return true
    }

    /// Returns a permit, on the loop.
    @usableFromInline func give() {
        if !waiters.resumeFirst(on: binding.loop) { available += 1 }
    }

    func acquire(_ function: StaticString) async throws {
        if binding.loop == nil { try binding.bind() }
        if try binding.enter(function), takeNow() { return }
        guard let loop = binding.loop else { throw EventLoopError.notRunning }
        try await loop.withAffinity(function) { record in try await acquire(on: loop, record) }
    }

    private func acquire(on loop: EventLoop, _ record: TaskRecord?) async throws {
        if loop.isClosed { throw EventLoopError.closed }
        if takeNow() { return }
        let token = waiters.add(on: loop)
        let (wasChosen, error) = await loop.waitToBeChosen(token, record)
        guard let error else { return }
        if wasChosen { give() } else { waiters.forget(token, on: loop) }
        throw error
    }

    /// Acquires a permit, also if the task is cancelled meanwhile. On a closed loop the permit is taken at once, so
    /// that the caller can return it in any case.
    func reacquire(on loop: EventLoop, _ record: TaskRecord?) async {
        if takeNow() { return }
        if !loop.isClosed {
            let token = waiters.add(on: loop)
            if await loop.suspend(token, record, endsWhenCancelled: false) == .ready { return }
        }
        available -= 1
    }

    /// Takes a permit for a body that can be called directly, because its task always continues on the loop.
    @usableFromInline
    func beginHere(_ function: StaticString, _ isolation: (any Actor)?) throws(EventLoopError) -> Bool {
        if binding.loop == nil { try binding.bind() }
        guard try binding.enter(function), available > 0, let loop = binding.loop,
            loop.affinityRecord(isolation).hasAffinity
        else { return false }
        available -= 1
        return true
    }

    /// Acquires a permit, calls `body`, and returns the permit. A task off the loop hops for all of that.
    @usableFromInline
    func withPermit<Result>(
        _ function: StaticString, _ body: @concurrent () async throws -> Result
    ) async throws -> Result {
        guard let loop = binding.loop else { throw EventLoopError.notRunning }
        return try await loop.withAffinity(function) { record in
            try await acquire(on: loop, record)
            defer { give() }
            return try await callBody(body)
        }
    }
}
