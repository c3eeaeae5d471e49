package import AsyncIOSystem
import CAsyncIO
package import Selectors
import Synchronization
package import SystemPackage

/// A thread's event loop: it waits for input and output, and runs callbacks and Swift tasks. asyncio:
/// `AbstractEventLoop`.
///
/// It is the `TaskExecutor` of its tasks, so they run on the loop's thread between two `await`s. That thread is the one
/// that runs it; before the first run, it is the one that created it. The reference is `Sendable`.
///
/// ```swift
/// let loop = try SelectorEventLoop()
/// loop.callLater(after: .seconds(1)) { print("one second later"); loop.stop() }
/// try loop.runForever()
/// try loop.close()
/// ```
///
/// Create a ``SelectorEventLoop`` or a ``ProactorEventLoop``, with a selector or proactor of your own if needed, or
/// derive from one of them. This class is `open` because its subclasses are, and has no public initializer.
/// - Thread: the loop's; any for async functions, which hop to the loop. Unless a member says otherwise.
open class EventLoop: TaskExecutor, @unchecked Sendable, CustomStringConvertible {
    let core: UnsafeMutablePointer<LoopCore>
    let inbox: ThreadsafeInbox
    let clockSource: EventLoopClock
    /// The thread that created the loop, and may use it until a run has bound it to a thread.
    let creator = aio_thread_identity()
    let status = Atomic<Status>(.idle)
    /// 0 before the first run.
    let boundThread = Atomic<UInt>(0)
    let hopCount = Atomic<Int>(0)
    /// Created with the loop, because it needs the loop's address.
    private final var pool: BufferPool!
    /// Created with the loop, because actors request it on any thread.
    private final var serial: LoopSerialExecutor!
    let hasReportedUseAfterClose = Atomic<Bool>(false)
    final var isCreated = false

    enum Status: UInt8, AtomicRepresentable {
        case idle, running, closed
    }

    /// For subclasses, which create their poller before. Throws if the loop's own descriptors cannot be watched.
    package init(clock: EventLoopClock) throws {
        aio_install_fork_handler()
        TaskRecord.installCancellation()
        let waker: Waker
        do {
            waker = try Waker()
        } catch {
            throw IOError(error, operation: "create the wake-up descriptor of an event loop")
        }
        core = .allocate(capacity: 1)
        core.initialize(to: LoopCore())
        clockSource = clock
        inbox = ThreadsafeInbox(waker: waker)
        serial = LoopSerialExecutor(loop: self)
        pool = BufferPool(owner: Unmanaged.passUnretained(self).toOpaque())
        try watchInternals(waker)
        isCreated = true
    }

    deinit {
        warnIfUnclosed()
        dropCallbacks()
        dropMessages()
        core.deinitialize(count: 1)
        core.deallocate()
    }

    /// The name of the back end on the command line and in reports, such as `epoll`, on any thread.
    open var backendName: String { "event loop" }

    // MARK: What an I/O model provides

    /// Waits for events and stores them for `queueEvents()`.
    package func wait(timeoutNanoseconds: Int64?) throws(Errno) {}

    /// Queues the sources that the last wait returned events for.
    package func queueEvents() {}

    /// Watches a descriptor for a registered source, until `unwatch`, and makes it the descriptor's user. A trigger of
    /// `.edge` is a request. Throws `EPERM` for a file that is always ready, such as a regular one.
    package func watch(
        _ descriptor: FileDescriptor, _ source: EventSource, for interest: Interest, _ trigger: Trigger
    ) throws(Errno) {
        throw .notSupported
    }

    /// Changes the interest in a descriptor that its source continues to use. The poller does not watch it for an empty
    /// interest. Throws `ENOENT` if the poller no longer knows the descriptor.
    package func rewatch(
        _ descriptor: FileDescriptor, _ source: EventSource, from former: Interest, to interest: Interest,
        _ trigger: Trigger
    ) throws(Errno) {
        throw .notSupported
    }

    /// Ends what the poller watches the descriptor for, if anything.
    package func endRegistration(of descriptor: FileDescriptor) {}

    /// Whether the poller reports events of a file that no longer has this number. A system call.
    package func isStale(_ descriptor: FileDescriptor) -> Bool { false }

    /// Descriptors with this number or a higher one cannot be watched; `nil` where there is no such limit.
    package var descriptorLimit: Int? { nil }

    /// Begins to connect a non-blocking socket. Returns whether it is connected; otherwise it becomes writable when the
    /// attempt has ended. Throws an `Errno`, `CancellationError` or `.closed`. The task is on the loop. `willSuspend`
    /// gets a source whose `lostDescriptor()` has to be called if the socket is closed meanwhile.
    func beginConnecting(
        _ socket: Socket, to address: SocketAddress, _ record: TaskRecord?, willSuspend: (EventSource) -> Void
    ) async throws -> Bool {
        throw Errno.notSupported
    }

    /// Creates the driver that accepts the clients of a listening socket. It does not begin before `start()`.
    package func makeAcceptDriver(_ socket: Socket, clientsPerIteration: Int) -> AcceptDriver {
        AcceptDriver(socket, on: self, clientsPerIteration: clientsPerIteration)
    }

    /// Creates the driver that moves a channel's bytes. It owns the descriptor from then on, also if this throws.
    package func makeStreamDriver(_ channel: ByteChannel) throws(Errno) -> StreamDriver {
        channel.socket.close()
        throw .notSupported
    }

    /// Creates the driver of a datagram socket, which it owns from then on, also if this throws.
    package func makeDatagramDriver(
        _ socket: Socket, family: SocketAddress.Family?, isConnected: Bool
    ) throws(Errno) -> DatagramDriver {
        socket.close()
        throw .notSupported
    }

    /// For tests: makes the loop call `calls` instead of the system, or the system again for `nil`.
    package func replaceSystemCalls(by calls: (any SystemCalls)?) {
        core.pointee.systemCalls = calls
        for id in core.pointee.sources.ids {
            core.pointee.sources[id]?.pointee.systemCallsChanged(areReplaced: calls != nil)
        }
    }

    /// Called at the end of each iteration, after the sources that were passed to `queueAtEndOfIteration`, if the
    /// core's `hasEndOfIteration` is set.
    package func endOfIteration() {}

    /// Begins what was submitted. Called at the end of each run, and before descriptors are closed because the loop is.
    package func runEnded() {}

    package func closePoller() {}

    /// The memory that ``StreamReader/readChunk()`` lends.
    /// SAFETY: the initializer sets it, and a test would cost as much as what is done with it.
    @inline(__always) final var chunkPool: BufferPool { pool.unsafelyUnwrapped }

    // MARK: Executors

    /// The executor of actors that run on this loop, which they must retain.
    ///
    /// ```swift
    /// actor Counter {
    ///     let loop: EventLoop
    ///     nonisolated var unownedExecutor: UnownedSerialExecutor { loop.serialExecutor.asUnownedSerialExecutor() }
    /// }
    /// ```
    /// - Thread: any.
    public final var serialExecutor: LoopSerialExecutor { serial }

    /// Queues a job of a task that prefers this loop.
    /// - Thread: any.
    public final func enqueue(_ job: consuming ExecutorJob) {
        enqueue(LoopWord(.taskJob, job: UnownedJob(job)))
    }

    /// The class, the back end and the state: `<SelectorEventLoop epoll, running, debug>`; `debug` on its thread only.
    /// - Thread: any.
    public final var description: String {
        var text = "<\(type(of: self)) \(backendName), \(isClosed ? "closed" : isRunning ? "running" : "idle")"
        if isOnLoop, core.pointee.debug.isOn { text += ", debug" }
        return text + ">"
    }
}

extension EventLoop {
    final func describeCallback(_ id: SlotID) -> String {
        guard isOnLoop else { return ", on another thread's loop" }
        guard let site = core.pointee.callbacks[id]?.pointee.site else { return ", not pending" }
        return ", pending, scheduled at \(site)"
    }
}
