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
    /// For tests: what goes wrong with raw socket operations.
    var socketFaults: ((SocketCall) -> SocketFault?)?
    /// Those of them that the loop needs for itself.
    var internalSources = 0
    /// Where the next enqueued job goes, if a source asks for it.
    var capture = JobCapture.none
    /// What was taken from the inbox and is not queued yet.
    var backlog = InboxBacklog()
    var budget = ByteBudget()

    /// Tasks that the loop started and that have not ended.
    var tasks: [ObjectIdentifier: TaskRecord] = [:]
    /// Those of them that have begun.
    var runningTasks: [TaskIdentity: TaskRecord] = [:]
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
    var endOfTick: [EventSource] = []
    var signals: SignalSource?
    var unhandledErrors = 0
    var suspensions = 0
    /// Whether a suspended task may be run without its continuation, see ``LoopWord/init(resuming:directly:)``.
    let resumesDirectly = !aio_validates_continuations()
    /// Ticks so far.
    var tick: UInt64 = 0
}

/// A closure that waits for its turn or its time.
struct ScheduledCallback {
    enum Action {
        case call(() throws -> Void)
        /// A task sleeps.
        case settle(WaiterToken)
        case again(RepeatingTimer)
    }

    var action: Action
    var site: CallSite
    /// Whether the heap has an entry for it.
    var isTimer: Bool
}
