/// A point where a number of tasks of one loop wait for each other. asyncio: `Barrier`.
///
/// ```swift
/// let barrier = Barrier(parties: 3)
/// let index = try await barrier.wait()  // Returns in all three tasks when the third one has called it.
/// ```
///
/// The barrier *opens* when `parties` tasks wait. It can be used again when all of them have continued; tasks that
/// arrive before wait until then, and count for the next time, in the order of their arrival.
///
/// - Thread: as with ``Lock``.
public final class Barrier: CustomStringConvertible {
    private enum Result {
        case index(Int)
        case broken
    }

    /// The number of tasks for which the barrier opens.
    public let parties: Int
    @exclusivity(unchecked) private var binding = LoopBinding()
    @exclusivity(unchecked) private var waiters = WaitQueue()
    /// What the tasks get that were resumed and have not continued yet.
    private var leaving: [WaiterToken: Result] = [:]
    @exclusivity(unchecked) private var wasAborted = false

    /// Creates a barrier. Traps if `parties` is not positive (asyncio: `ValueError`).
    public init(parties: Int) {
        // Not a precondition, because a release build would trap without the message.
        if parties < 1 { fatalError("a barrier needs at least one party, not \(parties)") }
        self.parties = parties
    }

    /// The number of tasks that wait for the barrier to open; 0 until those of the last time have continued. asyncio:
    /// `n_waiting`.
    public var waitingCount: Int {
        binding.require("Barrier.waitingCount")
        return leaving.isEmpty ? waiters.count(on: binding.loop) : 0
    }

    /// Whether ``abort()`` was called, and ``reset()`` was not called since. asyncio: `broken`.
    public var isBroken: Bool {
        binding.require("Barrier.isBroken")
        return wasAborted
    }

    /// Waits until `parties` tasks wait, and returns a number from 0 to `parties - 1` that is different in each, in the
    /// order of arrival.
    ///
    /// Throws `.brokenBarrier` (asyncio: `BrokenBarrierError`) if the barrier was aborted, and if it is aborted or
    /// reset before the task has continued; `CancellationError` when the task is cancelled, and the others wait on;
    /// `.closed`; `.anotherLoopRunning`; and `.notRunning` where no loop runs before the first use.
    public func wait() async throws -> Int {
        if binding.loop == nil { try binding.bind() }
        if try binding.enter("Barrier.wait"), let index = try arriveLast() { return index }
        guard let loop = binding.loop else { throw EventLoopError.notRunning }
        return try await loop.withAffinity("Barrier.wait") { record in
            if let index = try arriveLast() { return index }
            return try await wait(on: loop, record)
        }
    }

    /// Opens the barrier and returns the caller's number if the caller is the last of the parties.
    private func arriveLast() throws(EventLoopError) -> Int? {
        if wasAborted { throw .brokenBarrier }
        guard leaving.isEmpty, waiters.hasAtLeast(parties - 1, on: binding.loop) else { return nil }
        open(for: parties - 1)
        return parties - 1
    }

    private func wait(on loop: EventLoop, _ record: TaskRecord?) async throws -> Int {
        if loop.isClosed { throw EventLoopError.closed }
        let token = waiters.add(on: loop)
        let (wasChosen, error) = await loop.waitToBeChosen(token, record)
        if !wasChosen { waiters.forget(token, on: loop) }
        let result = leaving.removeValue(forKey: token)
        if leaving.isEmpty, waiters.hasAtLeast(parties, on: loop) { open(for: parties) }
        if let error { throw error }
        guard case .index(let index) = result else { throw EventLoopError.brokenBarrier }
        return index
    }

    private func open(for count: Int) {
        for index in 0..<count { resumeFirst(.index(index)) }
    }

    /// Returns false if no task waits.
    @discardableResult private func resumeFirst(_ result: Result) -> Bool {
        guard let loop = binding.loop, let token = waiters.popFirst(on: loop) else { return false }
        leaving[token] = result
        loop.settle(token, .ready)
        return true
    }

    /// Makes the tasks that wait, or have not continued yet, throw `.brokenBarrier`, and the barrier usable again.
    ///
    /// Tasks that arrived after the barrier had opened are not concerned.
    public func reset() {
        binding.require("Barrier.reset")
        breakTasks(includingNextOnes: leaving.isEmpty)
        wasAborted = false
    }

    /// Makes the tasks that wait, or have not continued yet, throw `.brokenBarrier`, and also those that come later,
    /// until ``reset()``.
    public func abort() {
        binding.require("Barrier.abort")
        breakTasks(includingNextOnes: true)
        wasAborted = true
    }

    private func breakTasks(includingNextOnes: Bool) {
        for token in leaving.keys { leaving[token] = .broken }
        while includingNextOnes, resumeFirst(.broken) {}
    }

    /// The state, such as `<Barrier filling, 2 of 3 waiting>`; the others are `draining` and `broken`.
    public var description: String {
        guard binding.isUsable else { return "<Barrier of another loop>" }
        if wasAborted { return "<Barrier broken>" }
        let count = waiters.count(on: binding.loop)
        return "<Barrier \(leaving.isEmpty ? "filling" : "draining"), \(count) of \(parties) waiting>"
    }
}

@available(*, unavailable, message: "a barrier belongs to its loop")
extension Barrier: Sendable {}
