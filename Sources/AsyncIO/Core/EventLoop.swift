package import AsyncIOSystem
import CAsyncIO
package import Selectors
import Synchronization
package import SystemPackage

/// A thread's event loop: it waits for input and output, and runs callbacks and Swift tasks. asyncio:
/// `AbstractEventLoop`.
///
/// The loop is the `TaskExecutor` of its tasks: what they do between two `await`s happens on the loop's own thread. The
/// reference is `Sendable`; the methods say which of them may be called on other threads. "The loop's thread" is the
/// thread that runs it; before the first run, the thread that made it.
///
/// ```swift
/// let loop = try SelectorEventLoop()
/// loop.callLater(after: .seconds(1)) { print("one second later"); loop.stop() }
/// try loop.runForever()
/// try loop.close()
/// ```
///
/// Create or derive from ``SelectorEventLoop`` or ``ProactorEventLoop``; both take a selector or proactor of your own.
/// This class itself has no public initializer: it is `open` because its subclasses are.
open class EventLoop: TaskExecutor, @unchecked Sendable {
    let core: UnsafeMutablePointer<LoopCore>
    let inbox: ThreadsafeInbox
    let clockSource: EventLoopClock
    /// The thread that may use the loop while it does not run.
    let owner = Atomic<UInt>(aio_thread_identity())
    let status = Atomic<Status>(.idle)
    /// The thread that the first run has bound the loop to; 0 before.
    let boundThread = Atomic<UInt>(0)
    let hopCount = Atomic<Int>(0)
    /// Made with the loop, whose address it knows.
    private final var pool: ChunkPool!
    /// Made with the loop, since actors ask for it on any thread.
    private final var serial: LoopSerialExecutor!
    let hasReportedUseAfterClose = Atomic<Bool>(false)
    /// Whether all of the initializer has succeeded.
    final var isCreated = false

    enum Status: UInt8, AtomicRepresentable {
        case idle, running, closed
    }

    /// For subclasses.
    package init(clock: EventLoopClock, waker: Waker) {
        aio_install_fork_handler()
        TaskRecord.installCancellation()
        core = .allocate(capacity: 1)
        core.initialize(to: LoopCore())
        clockSource = clock
        inbox = ThreadsafeInbox(waker: waker)
        serial = LoopSerialExecutor(loop: self)
        pool = ChunkPool(loop: self)
    }

    deinit {
        warnIfUnclosed()
        dropCallbacks()
        dropMessages()
        core.deinitialize(count: 1)
        core.deallocate()
    }

    /// What the loop is called on the command line and in reports, such as `epoll`.
    open var backendName: String { "event loop" }

    // MARK: What an I/O model provides

    /// Waits for events and keeps them for `queueEvents()`.
    package func wait(timeoutNanoseconds: Int64?) throws(Errno) {}

    /// Queues the sources that the last wait had events for.
    package func queueEvents() {}

    /// Watches a descriptor for a registered source, until `unwatch`, and makes it the descriptor's user.
    ///
    /// Throws `EPERM` for a file that is always ready, such as a regular one. A trigger of `.edge` is a request: a loop
    /// may report levels instead.
    package func watch(
        _ descriptor: FileDescriptor, _ source: EventSource, for interest: Interest, _ trigger: Trigger
    ) throws(Errno) {
        throw .notSupported
    }

    /// Changes what a descriptor is watched for that its source goes on using. The interest may be empty: then the
    /// poller does not watch the descriptor, but it stays the source's. Throws `ENOENT` if the poller has forgotten it.
    package func rewatch(
        _ descriptor: FileDescriptor, _ source: EventSource, from former: Interest, to interest: Interest,
        _ trigger: Trigger
    ) throws(Errno) {
        throw .notSupported
    }

    /// Ends the watch, before the descriptor is closed. Nothing happens if the descriptor is not the source's.
    package func unwatch(_ descriptor: FileDescriptor, _ source: EventSource) {}

    /// Ends the registration that a former user of the descriptor has left.
    package func endRegistration(of descriptor: FileDescriptor) {}

    /// Whether the poller reports events of a file that no longer has this number. It costs a system call.
    package func isStale(_ descriptor: FileDescriptor) -> Bool { false }

    /// Descriptors with this number or a higher one cannot be watched; `nil` where there is no such limit.
    package var descriptorLimit: Int? { nil }

    /// Begins to connect a non-blocking socket. Returns whether it is connected; otherwise it becomes writable when the
    /// attempt has ended. Throws an `Errno`, `CancellationError` or `.closed`. The task is on the loop.
    func beginConnecting(
        _ socket: Socket, to address: SocketAddress, _ record: TaskRecord?
    ) async throws -> Bool {
        throw Errno.notSupported
    }

    /// The driver that accepts the clients of a listening socket. It does not begin before `start()`.
    package func makeAcceptDriver(_ socket: Socket, clientsPerIteration: Int) -> AcceptDriver {
        AcceptDriver(socket, on: self, clientsPerIteration: clientsPerIteration)
    }

    /// The driver that moves a channel's bytes. It owns the descriptor from then on, also when this throws.
    package func makeStreamDriver(_ channel: ByteChannel) throws(Errno) -> StreamDriver {
        channel.socket.close()
        throw .notSupported
    }

    /// Makes the loop call `calls` instead of the system; `nil` ends that. For tests.
    package func replaceSystemCalls(by calls: (any SystemCalls)?) {
        core.pointee.systemCalls = calls
    }

    /// Frees the poller.
    package func closePoller() {}

    // MARK: Memory

    /// What ``StreamReader/readChunk()`` lends.
    final var chunkPool: ChunkPool {
        @inline(__always)
        get { pool }
    }

    // MARK: Executors

    /// The executor for actors that live on this loop:
    ///
    /// ```swift
    /// actor Counter {
    ///     let loop: EventLoop
    ///     nonisolated var unownedExecutor: UnownedSerialExecutor { loop.serialExecutor.asUnownedSerialExecutor() }
    /// }
    /// ```
    ///
    /// The actor must keep the loop alive.
    public final var serialExecutor: LoopSerialExecutor { serial }

    /// Queues a job of a task that prefers this loop. Any thread.
    public final func enqueue(_ job: consuming ExecutorJob) {
        enqueue(LoopWord(.taskJob, job: UnownedJob(job)))
    }
}

extension EventLoop: CustomStringConvertible {
    /// The class, the back end and the state, such as `<SelectorEventLoop epoll, running, debug>`. Any thread.
    ///
    /// `debug` is said on the loop's thread only.
    public final var description: String {
        var text = "<\(type(of: self)) \(backendName), \(isClosed ? "closed" : isRunning ? "running" : "idle")"
        if isOnLoop, core.pointee.debug.isOn { text += ", debug" }
        return text + ">"
    }
}

extension EventLoop {
    /// `pending` and the call site, or that it waits no more; nothing off the loop.
    final func describeCallback(_ id: SlotID) -> String {
        guard isOnLoop else { return ", on another thread's loop" }
        guard let site = core.pointee.callbacks[id]?.pointee.site else { return ", not pending" }
        return ", pending, scheduled at \(site)"
    }
}
