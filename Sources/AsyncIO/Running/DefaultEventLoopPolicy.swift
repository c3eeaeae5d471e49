import CAsyncIO

/// asyncio's default policy, in which a context is a thread. asyncio: `DefaultEventLoopPolicy`.
///
/// A thread's loop is released when the thread ends. Subclasses restate `@unchecked Sendable`:
///
/// ```swift
/// final class MyEventLoopPolicy: DefaultEventLoopPolicy, @unchecked Sendable {
///     override func getEventLoop() throws -> EventLoop {
///         let loop = try super.getEventLoop()
///         // Do something with the loop.
///         return loop
///     }
/// }
/// setEventLoopPolicy(MyEventLoopPolicy())
/// ```
open class DefaultEventLoopPolicy: EventLoopPolicy, @unchecked Sendable {
    private let loopFactory: (@Sendable () throws -> EventLoop)?

    /// Creates a policy whose loops `loopFactory` creates; by default, ``LoopKind/auto`` does, which the environment
    /// variable `ASYNCIO_LOOP` overrides.
    public init(loopFactory: (@Sendable () throws -> EventLoop)? = nil) { self.loopFactory = loopFactory }

    /// Returns the calling thread's loop. On the main thread, the first call creates it with ``newEventLoop()`` and
    /// sets it, unless ``setEventLoop(_:)`` was called there before. Otherwise throws `.noCurrentLoop` if none is set.
    open func getEventLoop() throws -> EventLoop {
        if ThreadContext.current.entry(of: self) == nil, aio_is_main_thread() { setEventLoop(try newEventLoop()) }
        return try loopOfThread()
    }

    /// Sets the calling thread's loop; `nil` removes it. The former loop is not closed.
    open func setEventLoop(_ loop: EventLoop?) {
        ThreadContext.current.set(ThreadContext.Entry(policy: self, loop: loop))
    }

    /// Creates a loop with the loop factory, without setting it.
    open func newEventLoop() throws -> EventLoop { try loopFactory?() ?? LoopKind.auto.makeLoop() }

    final func loopOfThread() throws(EventLoopError) -> EventLoop {
        if let loop = ThreadContext.current.entry(of: self)?.loop { return loop }
        throw .noCurrentLoop(thread: ThreadContext.name)
    }
}

extension DefaultEventLoopPolicy {
    /// A policy whose loops use readiness, with the system's best selector. asyncio: `WindowsSelectorEventLoopPolicy`.
    public static let selector = DefaultEventLoopPolicy(loopFactory: { try SelectorEventLoop() })

    /// A policy whose loops use completion, by io_uring on Linux. Creating a loop throws `.unsupported`, with the
    /// reason, if the system has no proactor or refuses it. asyncio: `WindowsProactorEventLoopPolicy`.
    public static let proactor = DefaultEventLoopPolicy(loopFactory: { try ProactorEventLoop() })
}

/// The policy of asyncio since Python 3.14: it creates no loop for a thread.
open class StrictEventLoopPolicy: DefaultEventLoopPolicy, @unchecked Sendable {
    /// Returns the loop that was set for the calling thread, or throws `.noCurrentLoop`, on the main thread too.
    open override func getEventLoop() throws -> EventLoop { try loopOfThread() }
}

/// The state of all policies for one thread.
private final class ThreadContext {
    struct Entry {
        weak var policy: DefaultEventLoopPolicy?
        /// `nil` after `setEventLoop(nil)`.
        var loop: EventLoop?
    }

    private var entries: [Entry] = []

    func entry(of policy: DefaultEventLoopPolicy) -> Entry? { entries.first { $0.policy === policy } }

    /// Replaces the entry of a policy, and removes those of policies that were released.
    func set(_ entry: Entry) {
        // Loops are released when the entries are consistent again, because releasing a loop may set another one.
        let former = entries
        entries = entries.filter { $0.policy != nil && $0.policy !== entry.policy } + [entry]
        withExtendedLifetime(former) {}
    }

    static var name: String {
        var buffer = [CChar](repeating: 0, count: 64)
        aio_thread_name(&buffer, buffer.count)
        return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    static var current: ThreadContext {
        if let existing = aio_thread_context_get() {
            // SAFETY: set below, and released only when the thread ends.
            return Unmanaged<ThreadContext>.fromOpaque(existing).takeUnretainedValue()
        }
        let context = ThreadContext()
        aio_thread_context_set(Unmanaged.passRetained(context).toOpaque()) { context in
            Unmanaged<ThreadContext>.fromOpaque(context).release()
        }
        return context
    }
}
