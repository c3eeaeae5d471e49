/// A flag that tasks of one loop wait for. asyncio: `Event`.
///
/// ```swift
/// let isReady = Event()
/// loop.callLater(after: .seconds(1)) { isReady.set() }
/// try await isReady.wait()
/// ```
///
/// - Thread: as with ``Lock``.
public final class Event: CustomStringConvertible {
    // Each of these is accessed within one statement, so the dynamic check for overlapping accesses could find nothing.
    @exclusivity(unchecked) private var binding = LoopBinding()
    @exclusivity(unchecked) private var waiters = WaitQueue()
    @exclusivity(unchecked) private var flag = false

    /// Creates an event that is not set.
    public init() {}

    /// Whether the event is set. asyncio: `is_set`.
    public var isSet: Bool {
        binding.require("Event.isSet")
        return flag
    }

    /// Sets the event and resumes all tasks that wait, also if it is cleared before they run.
    public func set() {
        binding.require("Event.set")
        if flag { return }
        flag = true
        waiters.resumeAll(on: binding.loop)
    }

    /// Clears the event, so that tasks wait again.
    public func clear() {
        binding.require("Event.clear")
        flag = false
    }

    /// Waits until the event is set; returns at once if it is, even in a cancelled task.
    ///
    /// Throws `CancellationError` if the task is cancelled before it continues, `.closed`, `.anotherLoopRunning`, and
    /// `.notRunning` where no loop runs before the first use.
    public func wait() async throws {
        if binding.loop == nil { try binding.bind() }
        if try binding.enter("Event.wait"), flag { return }
        guard let loop = binding.loop else { throw EventLoopError.notRunning }
        try await loop.withAffinity("Event.wait") { record in
            if flag { return }
            if loop.isClosed { throw EventLoopError.closed }
            let token = waiters.add(on: loop)
            let (wasChosen, error) = await loop.waitToBeChosen(token, record)
            guard let error else { return }
            if !wasChosen { waiters.forget(token, on: loop) }
            throw error
        }
    }

    /// The state, such as `<Event unset, 2 waiting>`.
    public var description: String {
        guard binding.isUsable else { return "<Event of another loop>" }
        return "<Event \(flag ? "set" : "unset")\(waitingText(waiters.count(on: binding.loop)))>"
    }
}

@available(*, unavailable, message: "an event belongs to its loop; other threads set it in callSoonThreadsafe")
extension Event: Sendable {}
