import CAsyncIO
import Synchronization

/// The serial executor of a loop, for actors. It is a separate type because `enqueue` must know the role of a job: a
/// task that prefers the loop must run without an isolation, or each of its nonisolated calls would hop.
public final class LoopSerialExecutor: SerialExecutor, @unchecked Sendable, CustomStringConvertible {
    /// The loop owns this object, and code that uses it retains the loop.
    private unowned let loop: EventLoop

    init(loop: EventLoop) { self.loop = loop }

    /// Queues a job of an actor, on any thread.
    public func enqueue(_ job: consuming ExecutorJob) {
        loop.enqueue(LoopWord(.actorJob, job: UnownedJob(job)))
    }

    /// Traps with a message if the caller is not on the loop's thread.
    public func checkIsolated() {
        // Not a precondition, because a release build would trap without the message.
        if !loop.isOnLoop { fatalError("this code must run on its event loop's thread") }
    }

    /// Whether the caller is on the loop's thread.
    public func isIsolatingCurrentContext() -> Bool? { loop.isOnLoop }

    /// Such as `<LoopSerialExecutor of <SelectorEventLoop epoll, running>>`.
    public var description: String { "<LoopSerialExecutor of \(loop)>" }
}

extension EventLoop {
    /// Whether the caller's thread runs the loop, or no thread does and the caller's thread owns it. Any thread.
    @inline(__always) public final var isOnLoop: Bool { isRunningHere || isIdleOwner }

    /// Whether the calling thread is running or closing the loop. Functions for any thread use this check, because an
    /// idle loop may begin its first run on another thread at any moment.
    @inline(__always) final var isRunningHere: Bool {
        // As numbers, because a comparison of optional pointers takes more instructions.
        UInt(bitPattern: aio_loop_slot_get()) == UInt(bitPattern: Unmanaged.passUnretained(self).toOpaque())
    }

    @inline(never) private final var isIdleOwner: Bool {
        // In this order, because a thread that finds the loop idle after its first run must also find it bound.
        if status.load(ordering: .acquiring) == .running { return false }
        let bound = boundThread.load(ordering: .acquiring)
        return (bound == 0 ? creator : bound) == aio_thread_identity()
    }

    /// Whether the loop is not running and only this thread can run it: it has run it, or the loop is closed.
    final var isOwnedHere: Bool {
        (boundThread.load(ordering: .acquiring) == aio_thread_identity() || isClosed) && isIdleOwner
    }

    final var currentTaskHasAffinity: Bool {
        withUnsafeCurrentTask { $0?.unownedTaskExecutor == asUnownedTaskExecutor() }
    }

    /// Whether code with this isolation runs where its task runs. An actor's code does not, unless it uses this loop's
    /// executor: the thread that holds the actor also runs what waits for it.
    @inline(__always) final func allowsAffinity(of isolation: (any Actor)?) -> Bool {
        guard let isolation else { return true }
        return allowsAffinity(ofActor: isolation)
    }

    @inline(never) private final func allowsAffinity(ofActor actor: any Actor) -> Bool {
        // SAFETY: the type is frozen and has two words, of which the first is the executor's address. It has no `==`.
        let executor = unsafeBitCast(actor.unownedExecutor, to: (identity: UInt, implementation: UInt).self)
        return executor.identity == UInt(bitPattern: Unmanaged.passUnretained(serialExecutor).toOpaque())
    }

    /// Traps with a message if the caller is not on the loop, because the call would be a data race.
    @inline(__always) @usableFromInline final func requireOnLoop(_ function: StaticString) {
        if !isOnLoop { failOffLoop(function) }
    }

    @inline(never) private final func failOffLoop(_ function: StaticString) {
        // A late task of a closed loop may close its streams, which cannot race with anything.
        if isClosed, ClosedLoopThread.shared.isCurrent { return }
        fatalError(EventLoopError.wrongThread(function).description)
    }

    /// Queues `word`, on any thread. Returns false if the loop is closed; the caller then still owns the word.
    final func submit(_ word: LoopWord) -> Bool {
        guard isRunningHere, !isClosed else { return inbox.post(word) }
        core.pointee.ready.push(word)
        return true
    }

    /// Queues a job, on any thread.
    final func enqueue(_ word: LoopWord) {
        guard isRunningHere else { return enqueueFromElsewhere(word) }
        if core.pointee.capturesJob, word.kind == .taskJob {
            core.pointee.capturesJob = false
            core.pointee.capturedJob = word.job
        } else {
            core.pointee.ready.push(word)
        }
    }

    @inline(never) private final func enqueueFromElsewhere(_ word: LoopWord) {
        // A discarded job would hang the code that awaits its task.
        if !inbox.post(word) { ClosedLoopThread.shared.run(word, of: self) }
    }

    @inline(__always)
    final func run(_ job: UnownedJob, _ kind: LoopWord.Kind, _ executor: UnownedTaskExecutor) {
        if kind == .taskJob {
            job.runSynchronously(on: executor)
        } else {
            job.runSynchronously(isolatedTo: serialExecutor.asUnownedSerialExecutor(), taskExecutor: executor)
        }
    }

    /// Runs `operation` on the loop, for a task that runs elsewhere, and counts the hop of `function`. The caller is
    /// suspended meanwhile, so only one thread at a time uses what `operation` captures.
    @usableFromInline
    final nonisolated(nonsending) func hop<Result>(
        _ function: StaticString = #function, _ operation: nonisolated(nonsending) () async throws -> Result
    ) async throws -> Result {
        if isClosed { throw EventLoopError.closed }
        return try await withoutActuallyEscaping(operation, do: Hop(loop: self, function: function).run)
    }

    @inline(never) fileprivate final func countHop(_ function: StaticString) {
        hopCount.add(1, ordering: .relaxed)
        if isRunningHere, core.pointee.debug.isOn { warnOfHop(function) }
    }
}

/// A separate type, because the compiler's check of isolation regions considers a closure in `hop` a race.
private struct Hop<Result> {
    let loop: EventLoop
    let function: StaticString

    nonisolated(nonsending) func run(
        _ operation: nonisolated(nonsending) @escaping () async throws -> Result
    ) async throws -> Result {
        try await Self.runOnLoop(loop, function, SentOperation(call: operation)).value
    }

    @concurrent
    private static func runOnLoop(
        _ loop: EventLoop, _ function: StaticString, _ operation: SentOperation<Result>
    ) async throws -> UncheckedSendable<Result> {
        try await withTaskExecutorPreference(loop) {
            // The compiler omits the hop if nothing before the first call seems to need it, and `operation` would begin
            // where the caller was. This call must therefore not be optimized away.
            loop.countHop(function)
            return UncheckedSendable(value: try await operation.call())
        }
    }
}
