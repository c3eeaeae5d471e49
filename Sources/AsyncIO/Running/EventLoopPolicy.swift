/// Decides which loop a context has, and how loops are made. asyncio: `AbstractEventLoopPolicy`.
///
/// Derive from ``DefaultEventLoopPolicy`` to change one of these only.
public protocol EventLoopPolicy: AnyObject, Sendable {
    /// The loop of the current context. Throws `.noCurrentLoop` if there is none and none is made. asyncio: `get_event_loop`.
    ///
    /// Within a running loop the function of the module does not ask the policy.
    func getEventLoop() throws -> EventLoop
    /// Makes `loop` the one of the current context; `nil` takes it away. The former one is not closed. asyncio: `set_event_loop`.
    func setEventLoop(_ loop: EventLoop?)
    /// Makes a loop and sets it nowhere. asyncio: `new_event_loop`.
    func newEventLoop() throws -> EventLoop
}

/// The policy of the process.
private let processPolicy = Locked<(any EventLoopPolicy)?>(nil)

/// The policy of the process; a ``DefaultEventLoopPolicy``, if none was set. Any thread. asyncio: `get_event_loop_policy`.
public func getEventLoopPolicy() -> any EventLoopPolicy {
    processPolicy.withLock { policy in
        if let policy { return policy }
        let made = DefaultEventLoopPolicy()
        policy = made
        return made
    }
}

/// Sets the policy of the process; `nil` restores the default. Loops that exist live on. Any thread.
/// asyncio: `set_event_loop_policy`.
public func setEventLoopPolicy(_ policy: (any EventLoopPolicy)?) {
    // The former policy is released outside the lock.
    let former = processPolicy.withLock { current in
        defer { current = policy }
        return current
    }
    _ = former
}

/// The running loop of this thread, or else the one that the policy gives. asyncio: `get_event_loop`.
public func getEventLoop() throws -> EventLoop {
    try runningLoop ?? getEventLoopPolicy().getEventLoop()
}

/// Makes `loop` the one of the current context, by the policy. asyncio: `set_event_loop`.
public func setEventLoop(_ loop: EventLoop?) {
    getEventLoopPolicy().setEventLoop(loop)
}

/// Makes a loop, by the policy, and sets it nowhere. asyncio: `new_event_loop`.
public func newEventLoop() throws -> EventLoop {
    try getEventLoopPolicy().newEventLoop()
}
