import CAsyncIO

/// The loop of an object that tasks wait for: the one on which the object was used first. asyncio: `_LoopBoundMixin`.
///
/// Before that, the object may be used where no loop runs, by functions that do not wait.
struct LoopBinding {
    private(set) var loop: EventLoop?

    /// Binds an object that has no loop to the running one. Throws `.notRunning` if no loop runs here.
    ///
    /// Apart from `enter`, because tasks of the thread pool enter too, and must not have write access to an object that
    /// its loop uses at the same time.
    mutating func bind() throws(EventLoopError) { loop = try getRunningLoop() }

    /// Begins an operation that may wait. Returns whether the caller is on the object's loop; otherwise it has to hop.
    /// Throws `.anotherLoopRunning` and `.closed`.
    @inline(__always) func enter(_ function: StaticString) throws(EventLoopError) -> Bool {
        if isRunningHere { return true }
        return try enterElsewhere(function)
    }

    /// Begins an operation that does not wait. Throws `.wrongThread` and `.anotherLoopRunning`.
    @inline(__always) mutating func check(_ function: StaticString) throws(EventLoopError) {
        if !isRunningHere { try checkElsewhere(function) }
    }

    /// As ``check(_:)``, for functions that cannot throw.
    @inline(__always) mutating func require(_ function: StaticString) {
        if !isRunningHere { requireElsewhere(function) }
    }

    /// Whether the object may be used here. It does not bind the object.
    var isUsable: Bool {
        guard let loop else { return true }
        if let running = runningLoop { return running === loop }
        return loop.isOnLoop || (loop.isClosed && ClosedLoopThread.shared.isCurrent)
    }

    @inline(__always) private var isRunningHere: Bool { loop?.isRunningHere ?? false }

    @inline(never) private func enterElsewhere(_ function: StaticString) throws(EventLoopError) -> Bool {
        try rejectAnotherLoop(function)
        if loop?.isClosed ?? true { throw .closed }
        return false
    }

    @inline(never) private mutating func checkElsewhere(_ function: StaticString) throws(EventLoopError) {
        if loop == nil { loop = runningLoop }
        try rejectAnotherLoop(function)
        if !isUsable { throw .wrongThread(function) }
    }

    @inline(never) private mutating func requireElsewhere(_ function: StaticString) {
        do throws(EventLoopError) {
            try checkElsewhere(function)
        } catch {
            // Not a precondition, because a release build would trap without the message.
            fatalError(error.description)
        }
    }

    private func rejectAnotherLoop(_ function: StaticString) throws(EventLoopError) {
        guard let loop, let running = runningLoop, running !== loop else { return }
        throw EventLoopError(
            .anotherLoopRunning,
            "\(function): the object belongs to \(loop), where it was used first, and not to \(running); create one "
                + "for each loop")
    }
}
