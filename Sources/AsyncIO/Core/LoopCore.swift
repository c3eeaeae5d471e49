import AsyncIOSystem
import CAsyncIO

/// A loop's state. It is stored behind one pointer, so that no access to its parts needs reference counting or a
/// dynamic exclusivity check.
///
/// - Thread: the loop's.
struct LoopCore: ~Copyable {
    var ready = ReadyQueue()
    var callbacks = Slab<ScheduledCallback>()
    var timers = TimerHeap()
    var waiters = Slab<Waiter>()
    var sources = Slab<EventSource>()
    var descriptors = DescriptorTable()
    /// Listeners that ran out of descriptors, or of descriptors with a low enough number.
    var lackingDescriptors: [EventSource] = []
    /// Creates the filter that a test puts into every connection.
    var makeFilter: (() -> any StreamFilter)?
    /// The calls that a test has replaced the system's with.
    var systemCalls: (any SystemCalls)?
    /// Whether the next job that this thread enqueues is captured instead of queued.
    var capturesJob = false
    var capturedJob: UnownedJob?
    /// Messages that were taken from the inbox and are not queued yet.
    var backlog = InboxBacklog()
    var budget = ByteBudget()

    /// The tasks that the loop started and that have not ended.
    var tasks = TaskTable()
    /// The number of tasks that the loop has started so far.
    var taskCount: UInt64 = 0
    var taskFactory: EventLoop.TaskFactory?

    /// The memory that push-style transports receive into, passed to the protocol during the call. The system provides
    /// its pages at their first use.
    ///
    /// Larger buffers save system calls on bulk transfers: a quarter of the CPU time at messages of 128 KiB. asyncio:
    /// `max_size`.
    let receiveBuffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 * 1024, alignment: 64)
    /// Objects to release when the iteration has run.
    var released: [AnyObject] = []

    var isStopping = false
    /// Whether the run ends with the last task. New tasks are cancelled at once.
    var isDraining = false
    var exceptionHandler: EventLoop.ExceptionHandler?
    var debug = DebugMode()
    /// Sources to call after this iteration.
    var endOfIteration: [EventSource] = []
    var signals: WakeUpObserver?
    /// Set while a run on the main thread catches Ctrl-C.
    var interrupt: WakeUpObserver?
    /// Set while the loop serves the main dispatch queue.
    var mainQueue: MainQueueSource?
    var unhandledErrors = 0
    var suspensions = 0
    /// Whether a suspended task may be run without its continuation, see ``LoopWord/init(resuming:directly:)``.
    let resumesDirectly = !aio_validates_continuations()
    /// The number of iterations so far.
    var tick: UInt64 = 0

    deinit { receiveBuffer.deallocate() }
}

/// A scheduled callback: a closure, or the wake-up of a task that sleeps.
///
/// Its size is 56 bytes, so that a slot of the slab is one cache line. It contains no enumeration with closures,
/// because the compiler leaves releasing such a value to the runtime.
struct ScheduledCallback {
    /// `nil` if a task sleeps.
    var body: (() throws -> Void)?
    /// The waiter of a task that sleeps, or the address of a repeating timer; the uppermost bit is ``isTimer``.
    var bits: UInt64
    let site: CallSite

    static var timerBit: UInt64 { 1 << 63 }

    @inline(__always)
    init(_ body: consuming @escaping () throws -> Void, site: CallSite, isTimer: Bool) {
        self.body = body
        bits = isTimer ? Self.timerBit : 0
        self.site = site
    }

    /// Wakes a sleeping task.
    init(settling token: WaiterToken, site: CallSite) {
        body = nil
        bits = token.bits | Self.timerBit
        self.site = site
    }

    @inline(__always)
    consuming func run(on loop: EventLoop) {
        let (site, waiter) = (site, waiter)
        if let body {
            loop.callReporting(site, body)
        } else {
            loop.settle(waiter, .ready)
        }
    }

    /// Whether the heap has an entry for it.
    var isTimer: Bool {
        @inline(__always)
        get { bits & Self.timerBit != 0 }
        @inline(__always)
        set { bits = bits & ~Self.timerBit | (newValue ? Self.timerBit : 0) }
    }

    /// The waiter that it resumes, if it has no body.
    var waiter: WaiterToken { WaiterToken(bits: bits) }
}
