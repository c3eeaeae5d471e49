import CAsyncIO
import Synchronization

/// Decides which loop a context has, and how loops are made. asyncio: `AbstractEventLoopPolicy`.
public protocol EventLoopPolicy: AnyObject, Sendable {
    /// The loop of the current context. Throws `.noCurrentLoop` if there is none and none is made.
    func getEventLoop() throws -> EventLoop
    /// Makes `loop` the one of the current context; `nil` takes it away.
    func setEventLoop(_ loop: EventLoop?)
    /// Makes a loop and sets it nowhere.
    func newEventLoop() throws -> EventLoop
}

/// The policy of asyncio's default: a context is a thread. asyncio: `DefaultEventLoopPolicy`.
///
/// A thread's loop is released when the thread ends. Subclasses restate `@unchecked Sendable`:
///
/// ```swift
/// final class MyEventLoopPolicy: DefaultEventLoopPolicy, @unchecked Sendable {
///     override func newEventLoop() throws -> EventLoop { try LoopKind.epoll.makeLoop() }
/// }
/// ```
open class DefaultEventLoopPolicy: EventLoopPolicy, @unchecked Sendable {
    public init() {}

    /// The thread's loop. On the main thread one is made at the first call, unless ``setEventLoop(_:)`` was called there
    /// before; on others it throws `.noCurrentLoop`.
    open func getEventLoop() throws -> EventLoop {
        if let context = ThreadContext.current[self] {
            if let loop = context.loop { return loop }
        } else if aio_is_main_thread() {
            let loop = try newEventLoop()
            setEventLoop(loop)
            return loop
        }
        throw EventLoopError.noCurrentLoop(thread: ThreadContext.name)
    }

    open func setEventLoop(_ loop: EventLoop?) {
        ThreadContext.current[self] = ThreadContext.Entry(policy: self, loop: loop)
    }

    open func newEventLoop() throws -> EventLoop {
        try LoopKind.auto.makeLoop()
    }
}

/// What policies keep per thread; freed when the thread ends.
final class ThreadContext {
    struct Entry {
        weak var policy: DefaultEventLoopPolicy?
        /// `nil` after `setEventLoop(nil)`.
        var loop: EventLoop?
    }

    private var entries: [ObjectIdentifier: Entry] = [:]

    /// What was set for a policy that is gone is not its successor's at the same address.
    subscript(policy: DefaultEventLoopPolicy) -> Entry? {
        get { entries[ObjectIdentifier(policy)].flatMap { $0.policy === policy ? $0 : nil } }
        set {
            entries = entries.filter { $0.value.policy != nil }
            entries[ObjectIdentifier(policy)] = newValue
        }
    }

    static var name: String {
        var buffer = [CChar](repeating: 0, count: 64)
        aio_thread_name(&buffer, buffer.count)
        return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// The calling thread's.
    static var current: ThreadContext {
        if let existing = aio_thread_context_get() {
            // SAFETY: set below, and released by the thread's end only.
            return Unmanaged<ThreadContext>.fromOpaque(existing).takeUnretainedValue()
        }
        let context = ThreadContext()
        aio_thread_context_set(Unmanaged.passRetained(context).toOpaque()) { context in
            Unmanaged<ThreadContext>.fromOpaque(context).release()
        }
        return context
    }
}

/// The process's policy.
private let processPolicy = Mutex<(any EventLoopPolicy)?>(nil)

/// The policy of the process; the default one, if none was set. Any thread. asyncio: `get_event_loop_policy`.
public func getEventLoopPolicy() -> any EventLoopPolicy {
    processPolicy.withLock { policy in
        if let policy { return policy }
        let made = DefaultEventLoopPolicy()
        policy = made
        return made
    }
}

/// Sets the policy of the process; `nil` restores the default. Loops that exist live on. Any thread. asyncio: `set_event_loop_policy`.
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

/// Makes `loop` the one of the current thread, by the policy. asyncio: `set_event_loop`.
public func setEventLoop(_ loop: EventLoop?) {
    getEventLoopPolicy().setEventLoop(loop)
}

/// Makes a loop, by the policy. asyncio: `new_event_loop`.
public func newEventLoop() throws -> EventLoop {
    try getEventLoopPolicy().newEventLoop()
}
