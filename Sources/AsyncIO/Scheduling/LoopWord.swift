/// An entry of the ready queue and of the inbox: a machine word, three bits of which say what the others are.
struct LoopWord {
    enum Kind: UInt {
        /// A job of a task that prefers this loop. A pointer; jobs are aligned to 16 bytes.
        case taskJob = 0
        /// A job of an actor whose executor is this loop.
        case actorJob = 1
        /// A callback, by name.
        case callback = 2
        /// An event source with news, by name.
        case source = 3
        /// A retained object, which the loop knows.
        case message = 4
        /// The task of a waiter was cancelled. A name.
        case cancelledWaiter = 5
        /// The last user's reference to a source is gone. A name.
        case abandonedSource = 6
        /// A task that yielded: its continuation.
        case continuation = 7
    }

    let bits: UInt

    init(bits: UInt) {
        self.bits = bits
    }

    @inline(__always)
    init(_ kind: Kind, job: UnownedJob) {
        bits = unsafeBitCast(job, to: UInt.self) | kind.rawValue
    }

    @inline(__always)
    init(_ kind: Kind, _ id: SlotID) {
        bits = UInt(id.bits) << 3 | kind.rawValue
    }

    /// What lets a task go on that suspends with `continuation`: its job, if `directly`, or the continuation.
    ///
    /// The job itself needs no look-up of the task's executor, which costs a lock and cold memory of the task. It is for tasks that
    /// have suspended on the loop's thread and go on there without an isolation.
    @inline(__always)
    init(resuming continuation: UnsafeContinuation<Void, Never>, directly: Bool) {
        // SAFETY: a continuation is one pointer to its task, and a task is its own job. Once the task has suspended,
        // `resume()` only enqueues that job: the runtime ends the suspension when the job runs.
        bits = unsafeBitCast(continuation, to: UInt.self) | (directly ? Kind.taskJob : .continuation).rawValue
    }

    @inline(__always)
    var kind: Kind { Kind(rawValue: bits & 7).unsafelyUnwrapped }

    @inline(__always)
    var job: UnownedJob { unsafeBitCast(bits & ~7, to: UnownedJob.self) }

    @inline(__always)
    var id: SlotID { SlotID(bits: UInt64(bits >> 3)) }

    var continuation: UnsafeContinuation<Void, Never> {
        unsafeBitCast(bits & ~7, to: UnsafeContinuation<Void, Never>.self)
    }
}
