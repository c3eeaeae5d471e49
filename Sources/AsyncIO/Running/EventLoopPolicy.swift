/// Decides which loop a context has, and how loops are created. To change only one of these functions, derive from
/// ``DefaultEventLoopPolicy``. asyncio: `AbstractEventLoopPolicy`.
public protocol EventLoopPolicy: AnyObject, Sendable {
    /// Returns the loop of the current context. Throws `.noCurrentLoop` if there is none. asyncio: `get_event_loop`.
    /// Within a running loop, the module's function of this name does not call it.
    func getEventLoop() throws -> EventLoop
    /// Sets the current context's loop; `nil` removes it. It does not close the former loop. asyncio: `set_event_loop`.
    func setEventLoop(_ loop: EventLoop?)
    /// Creates a loop without setting it. asyncio: `new_event_loop`.
    func newEventLoop() throws -> EventLoop
}

private let processPolicy = Locked<any EventLoopPolicy>(DefaultEventLoopPolicy())

/// Returns the process's policy, by default a ``DefaultEventLoopPolicy``, on any thread. asyncio:
/// `get_event_loop_policy`.
public func getEventLoopPolicy() -> any EventLoopPolicy { processPolicy.withLock { $0 } }

/// Sets the policy of the process, on any thread; `nil` restores the default. Existing loops are not affected. asyncio:
/// `set_event_loop_policy`.
public func setEventLoopPolicy(_ policy: (any EventLoopPolicy)?) {
    let policy = policy ?? DefaultEventLoopPolicy()
    let former = processPolicy.withLock { current in
        defer { current = policy }
        return current
    }
    // Released outside the lock, because its deinitializer may use the policy.
    withExtendedLifetime(former) {}
}

/// Returns the running loop of this thread, or else the policy's loop. asyncio: `get_event_loop`.
public func getEventLoop() throws -> EventLoop { try runningLoop ?? getEventLoopPolicy().getEventLoop() }

/// Sets the loop of the current context through the policy. asyncio: `set_event_loop`.
public func setEventLoop(_ loop: EventLoop?) { getEventLoopPolicy().setEventLoop(loop) }

/// Creates a loop through the policy, without setting it. asyncio: `new_event_loop`.
public func newEventLoop() throws -> EventLoop { try getEventLoopPolicy().newEventLoop() }
