import AsyncIOSystem
import CAsyncIO

/// A loop's state. It lives behind one pointer, so that there is neither reference counting nor a dynamic exclusivity
/// check between its parts. The loop's thread only.
struct LoopCore: ~Copyable {
    var ready = ReadyQueue()
    var callbacks = Slab<ScheduledCallback>()
    var timers = TimerHeap()
    var waiters = Slab<Waiter>()
    var sources = Slab<EventSource>()
    var descriptors = DescriptorTable()
    /// Listeners that ran out of descriptors, or of low ones.
    var lackingDescriptors: [EventSource] = []
    /// Creates the filter that a test puts into every connection.
    var makeFilter: (() -> any StreamFilter)?
    /// What a test calls instead of the system.
    var systemCalls: (any SystemCalls)?
    /// Those of them that the loop needs for itself.
    var internalSources = 0
    /// Where the next enqueued job goes, if a source asks for it.
    var capture = JobCapture.none
    /// What was taken from the inbox and is not queued yet.
    var backlog = InboxBacklog()
    var budget = ByteBudget()

    /// Tasks that the loop started and that have not ended.
    var tasks = TaskList()
    /// Those of them that have begun.
    var runningTasks = RunningTasks()
    /// Tasks that the loop has started so far.
    var taskCount: UInt64 = 0
    var taskFactory: EventLoop.TaskFactory?

    /// What push-style transports of this loop receive into.
    var receiveBuffer = ReceiveBuffer()
    /// What sources and transports no longer hold; released when the iteration has run, and the other buffer for that.
    var released: [AnyObject] = []
    var releasedSpare: [AnyObject] = []

    var isStopping = false
    /// Whether the run ends with the last task: new ones are cancelled at once.
    var isDraining = false
    var exceptionHandler: EventLoop.ExceptionHandler?
    var debug = DebugMode()
    /// Sources to call after this iteration, and the other buffer for that.
    var endOfTick: [EventSource] = []
    var endOfTickSpare: [EventSource] = []
    var signals: WakeUpObserver?
    /// While a run on the main thread catches Ctrl-C.
    var interrupt: WakeUpObserver?
    /// While the loop serves the main dispatch queue.
    var mainQueue: MainQueueSource?
    var unhandledErrors = 0
    var suspensions = 0
    /// Whether a suspended task may be run without its continuation, see ``LoopWord/init(resuming:directly:)``.
    let resumesDirectly = !aio_validates_continuations()
    /// Ticks so far.
    var tick: UInt64 = 0
}

/// What is scheduled: a closure, or a task that sleeps.
///
/// 56 bytes, so that a slot of the slab is one cache line. No enumeration with closures in it: the compiler leaves the
/// release of such a thing to the runtime.
struct ScheduledCallback {
    /// `nil` for a task that sleeps.
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

    /// Whom it wakes, if it has no body.
    var waiter: WaiterToken { WaiterToken(bits: bits) }
}
