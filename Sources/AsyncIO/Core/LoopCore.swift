import AsyncIOSystem
import CAsyncIO

/// A loop's state, behind one pointer, so that no access needs reference counting or a dynamic exclusivity check.
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
    /// For tests: creates a filter for every connection.
    var makeFilter: (() -> any StreamFilter)?
    /// For tests.
    var systemCalls: (any SystemCalls)?
    var capturesJob = false
    var capturedJob: UnownedJob?
    /// Messages that were taken from the inbox and are not queued yet.
    var backlog = InboxBacklog()
    var budget = ByteBudget()

    var tasks = TaskTable()
    /// The number of tasks that were started so far.
    var taskCount: UInt64 = 0
    var taskFactory: EventLoop.TaskFactory?
    /// `nil` for that of the system.
    var resolver: (any Resolver)?

    /// The memory that push-style transports receive into, lent to the protocol during the call. Larger buffers save
    /// system calls on bulk transfers: a quarter of the CPU time at messages of 128 KiB. asyncio: `max_size`.
    let receiveBuffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 * 1024, alignment: 64)
    /// `nil` until the loop has a datagram endpoint.
    var datagramMemory: UnsafeMutablePointer<DatagramMemory>?
    /// To release when the iteration has run.
    var released: [AnyObject] = []

    var isStopping = false
    /// Whether the run ends with the last task, and new tasks are cancelled at once.
    var isDraining = false
    var exceptionHandler: EventLoop.ExceptionHandler?
    var debug = DebugMode()
    var endOfIteration: [EventSource] = []
    /// Whether the loop overrides `endOfIteration()`.
    var hasEndOfIteration = false
    var signals: WakeUpObserver?
    var interrupt: WakeUpObserver?
    var mainQueue: MainQueueSource?
    var unhandledErrors = 0
    var suspensions = 0
    /// Whether a suspended task may be run without its continuation, see ``LoopWord/init(resuming:directly:)``.
    let resumesDirectly = !aio_validates_continuations()
    /// The number of iterations so far.
    var tick: UInt64 = 0

    deinit {
        receiveBuffer.deallocate()
        datagramMemory?.deinitialize(count: 1)
        datagramMemory?.deallocate()
    }
}

/// A scheduled callback: a closure, or the wake-up of a task that sleeps. 56 bytes, so that a slot of the slab is one
/// cache line. No enumeration with closures, because the compiler leaves releasing such a value to the runtime.
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

    init(settling token: WaiterToken, site: CallSite) {
        body = nil
        bits = token.bits | Self.timerBit
        self.site = site
    }

    @inline(__always) consuming func run(on loop: EventLoop) {
        let (site, waiter) = (site, waiter)
        if let body {
            loop.callReporting(site, body)
        } else {
            loop.settle(waiter, .ready)
        }
    }

    /// Whether the heap has an entry for it.
    var isTimer: Bool {
        @inline(__always) get { bits & Self.timerBit != 0 }
        @inline(__always) set { bits = bits & ~Self.timerBit | (newValue ? Self.timerBit : 0) }
    }

    var waiter: WaiterToken { WaiterToken(bits: bits) }
}
