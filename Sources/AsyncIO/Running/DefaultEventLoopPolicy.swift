import CAsyncIO

/// The policy of asyncio's default: a context is a thread. asyncio: `DefaultEventLoopPolicy`.
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

    /// - Parameter loopFactory: Makes the loops; by default, ``LoopKind/auto`` does.
    public init(loopFactory: (@Sendable () throws -> EventLoop)? = nil) {
        self.loopFactory = loopFactory
    }

    /// A policy whose loops are all of one kind. Where the system lacks the kind, making a loop throws `.unsupported`.
    public convenience init(kind: LoopKind) {
        self.init(loopFactory: { try kind.makeLoop() })
    }

    /// The thread's loop. On the main thread one is made at the first call, by ``newEventLoop()`` and ``setEventLoop(_:)``,
    /// unless `setEventLoop` was called there before; on others, and after `setEventLoop(nil)`, it throws `.noCurrentLoop`.
    open func getEventLoop() throws -> EventLoop {
        if ThreadContext.current[self] == nil, aio_is_main_thread() { setEventLoop(try newEventLoop()) }
        return try loopOfThread()
    }

    open func setEventLoop(_ loop: EventLoop?) {
        ThreadContext.current[self] = ThreadContext.Entry(policy: self, loop: loop)
    }

    open func newEventLoop() throws -> EventLoop {
        try loopFactory?() ?? LoopKind.auto.makeLoop()
    }

    /// What was set for this thread. Throws `.noCurrentLoop`.
    final func loopOfThread() throws(EventLoopError) -> EventLoop {
        guard let loop = ThreadContext.current[self]?.loop else { throw .noCurrentLoop(thread: ThreadContext.name) }
        return loop
    }
}

extension DefaultEventLoopPolicy {
    /// Loops over readiness, on the system's best selector. asyncio: `WindowsSelectorEventLoopPolicy`.
    public static let selector = DefaultEventLoopPolicy(loopFactory: { try SelectorEventLoop() })

    /// Loops over completion. Making one throws `.unsupported` where there is no proactor.
    /// asyncio: `WindowsProactorEventLoopPolicy`.
    public static let proactor = DefaultEventLoopPolicy(loopFactory: { try completionKind.makeLoop() })

    private static var completionKind: LoopKind {
        #if os(Windows)
        .iocp
        #else
        .ioUring
        #endif
    }
}

/// The policy of asyncio since Python 3.14: a thread has the loop that was set there, and none is made for it.
open class StrictEventLoopPolicy: DefaultEventLoopPolicy, @unchecked Sendable {
    /// The loop that was set for this thread. Throws `.noCurrentLoop`, on the main thread too.
    open override func getEventLoop() throws -> EventLoop {
        try loopOfThread()
    }
}

/// What policies keep per thread; freed when the thread ends.
private final class ThreadContext {
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
            // Loops are released when this is in order again: their end may set one.
            let former = entries
            entries = entries.filter { $0.value.policy != nil }
            entries[ObjectIdentifier(policy)] = newValue
            withExtendedLifetime(former) {}
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
