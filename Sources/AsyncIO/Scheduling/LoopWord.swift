/// An entry of the ready queue and of the inbox: a machine word. Its lowest three bits are the kind of the others.
struct LoopWord {
    enum Kind: UInt {
        /// A job of a task that prefers this loop. A pointer; jobs are aligned to 16 bytes.
        case taskJob = 0
        /// A job of an actor whose executor is this loop.
        case actorJob = 1
        case callback = 2
        case source = 3
        /// A retained ``LoopMessage``.
        case message = 4
        case cancelledWaiter = 5
        case abandonedSource = 6
        /// The continuation of a task that yielded.
        case continuation = 7
    }

    let bits: UInt

    init(bits: UInt) { self.bits = bits }

    @inline(__always)
    init(_ kind: Kind, job: UnownedJob) { bits = unsafeBitCast(job, to: UInt.self) | kind.rawValue }

    @inline(__always) init(_ kind: Kind, _ id: SlotID) { bits = UInt(id.bits) << 3 | kind.rawValue }

    /// Resumes a task that suspends with `continuation`: by its job, if `directly`, or by the continuation.
    ///
    /// The job avoids the lookup of the task's executor, which costs a lock and cold memory. It is for tasks that have
    /// suspended on the loop's thread and continue there without an isolation.
    @inline(__always) init(resuming continuation: UnsafeContinuation<Void, Never>, directly: Bool) {
        // SAFETY: a continuation is one pointer to its task, and a task is its own job. Once the task has suspended,
        // `resume()` only enqueues that job; the suspension ends when the job runs.
        bits = unsafeBitCast(continuation, to: UInt.self) | (directly ? Kind.taskJob : .continuation).rawValue
    }

    @inline(__always) var kind: Kind { Kind(rawValue: bits & 7).unsafelyUnwrapped }

    @inline(__always) var job: UnownedJob { unsafeBitCast(bits & ~7, to: UnownedJob.self) }

    @inline(__always) var id: SlotID { SlotID(bits: UInt64(bits >> 3)) }

    var continuation: UnsafeContinuation<Void, Never> {
        unsafeBitCast(bits & ~7, to: UnsafeContinuation<Void, Never>.self)
    }
}
