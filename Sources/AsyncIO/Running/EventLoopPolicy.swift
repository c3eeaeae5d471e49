/// Decides which loop a context has, and how loops are created. asyncio: `AbstractEventLoopPolicy`.
///
/// To change only one of these functions, derive from ``DefaultEventLoopPolicy``.
public protocol EventLoopPolicy: AnyObject, Sendable {
    /// Returns the loop of the current context. Throws `.noCurrentLoop` if there is none and none is created. asyncio:
    /// `get_event_loop`.
    ///
    /// Within a running loop, the module's function of this name returns the running loop without calling the policy.
    func getEventLoop() throws -> EventLoop
    /// Sets the loop of the current context; `nil` removes it. The former loop is not closed. asyncio:
    /// `set_event_loop`.
    func setEventLoop(_ loop: EventLoop?)
    /// Creates a loop without setting it. asyncio: `new_event_loop`.
    func newEventLoop() throws -> EventLoop
}

private let processPolicy = Locked<any EventLoopPolicy>(DefaultEventLoopPolicy())

/// Returns the policy of the process, which is a ``DefaultEventLoopPolicy`` if none was set. asyncio:
/// `get_event_loop_policy`.
///
/// - Thread: any.
public func getEventLoopPolicy() -> any EventLoopPolicy { processPolicy.withLock { $0 } }

/// Sets the policy of the process; `nil` restores the default. Existing loops are not affected. asyncio:
/// `set_event_loop_policy`.
///
/// - Thread: any.
public func setEventLoopPolicy(_ policy: (any EventLoopPolicy)?) {
    let policy = policy ?? DefaultEventLoopPolicy()
    // The former policy is released outside the lock.
    _ = processPolicy.withLock { current in
        defer { current = policy }
        return current
    }
}

/// Returns the running loop of this thread, or else the policy's loop. asyncio: `get_event_loop`.
public func getEventLoop() throws -> EventLoop { try runningLoop ?? getEventLoopPolicy().getEventLoop() }

/// Sets the loop of the current context through the policy. asyncio: `set_event_loop`.
public func setEventLoop(_ loop: EventLoop?) { getEventLoopPolicy().setEventLoop(loop) }

/// Creates a loop through the policy, without setting it. asyncio: `new_event_loop`.
public func newEventLoop() throws -> EventLoop { try getEventLoopPolicy().newEventLoop() }
