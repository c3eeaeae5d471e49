import CAsyncIO
import Synchronization

/// The serial executor that a loop lends to actors.
///
/// A type of its own, since `enqueue` must know in which role a job came: a task that prefers the loop must run
/// without an isolation, or each of its nonisolated calls would hop.
public final class LoopSerialExecutor: SerialExecutor, @unchecked Sendable {
    /// The loop owns this object, and whoever uses it holds the loop.
    private unowned let loop: EventLoop

    init(loop: EventLoop) {
        self.loop = loop
    }

    /// For its description.
    var owner: EventLoop { loop }

    public func enqueue(_ job: consuming ExecutorJob) {
        loop.enqueue(LoopWord(.actorJob, job: UnownedJob(job)))
    }

    public func checkIsolated() {
        // Not a precondition: an optimised build would stop without the sentence.
        if !loop.isOnLoop { fatalError("this code must run on its event loop's thread") }
    }

    public func isIsolatingCurrentContext() -> Bool? {
        loop.isOnLoop
    }
}

extension EventLoop {
    /// Whether the caller is on the loop: its thread is running it, or nobody is and the caller is the owner. Any
    /// thread.
    public final var isOnLoop: Bool {
        @inline(__always)
        get {
            isRunningHere || isIdleOwner
        }
    }

    /// Whether the caller's thread is running the loop, or closing it.
    ///
    /// What any thread may call decides by this: that the loop is idle may end at any moment, when another thread
    /// begins its first run.
    final var isRunningHere: Bool {
        @inline(__always)
        get { aio_loop_slot_get() == Unmanaged.passUnretained(self).toOpaque() }
    }

    @inline(never)
    private final var isIdleOwner: Bool {
        status.load(ordering: .acquiring) != .running && owner.load(ordering: .relaxed) == aio_thread_identity()
    }

    /// Whether the loop does not run and no other thread can run it any more: the caller's has, or it is closed.
    final var isOwnedHere: Bool {
        (boundThread.load(ordering: .acquiring) == aio_thread_identity() || isClosed) && isIdleOwner
    }

    /// Whether the current task comes back to this loop after a suspension, since it prefers the loop.
    final var isHomeOfCurrentTask: Bool {
        withUnsafeCurrentTask { $0?.unownedTaskExecutor == asUnownedTaskExecutor() }
    }

    /// Whether code with this isolation runs where its task does. An actor's does not: whichever thread holds the actor
    /// runs what waits for it. Unless the actor lives on this loop.
    @inline(__always)
    final func isHome(of isolation: (any Actor)?) -> Bool {
        guard let isolation else { return true }
        return isHome(ofActor: isolation)
    }

    @inline(never)
    private final func isHome(ofActor actor: any Actor) -> Bool {
        // SAFETY: frozen, and two words, of which the first is the executor's address. It has no `==` of its own.
        let executor = unsafeBitCast(actor.unownedExecutor, to: (identity: UInt, implementation: UInt).self)
        return executor.identity == UInt(bitPattern: Unmanaged.passUnretained(serialExecutor).toOpaque())
    }

    /// Stops the program if the caller is not on the loop: a data race otherwise.
    @inline(__always) @usableFromInline
    final func requireOnLoop(_ function: StaticString) {
        if !isOnLoop { failOffLoop(function) }
    }

    @inline(never)
    private final func failOffLoop(_ function: StaticString) {
        // A late task of a closed loop may close its streams: nothing is left there to race for.
        if isClosed, ClosedLoopThread.shared.isCurrent { return }
        fatalError(EventLoopError.wrongThread(function).description)
    }

    final func enqueue(_ word: LoopWord) {
        guard isRunningHere else { return enqueueFromElsewhere(word) }
        if case .armed = core.pointee.capture, word.kind == .taskJob {
            core.pointee.capture = .job(word.job)
        } else {
            core.pointee.ready.push(word)
        }
    }

    @inline(never)
    private final func enqueueFromElsewhere(_ word: LoopWord) {
        // A job that is dropped hangs whoever awaits its task.
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

    /// Runs `operation` on the loop, for a task that is elsewhere, and counts that it had to.
    ///
    /// The caller is suspended meanwhile, so what `operation` captures is used by one thread at a time.
    ///
    /// - Parameter function: Whose hop it is, for debug mode.
    @usableFromInline
    final nonisolated(nonsending) func hop<Result>(
        _ function: StaticString = #function, _ operation: nonisolated(nonsending) () async throws -> Result
    ) async throws -> Result {
        if isClosed { throw EventLoopError.closed }
        return try await withoutActuallyEscaping(operation, do: Hop(loop: self, function: function).run)
    }

    @inline(never)
    fileprivate final func countHop(_ function: StaticString) {
        hopCount.add(1, ordering: .relaxed)
        if isRunningHere, core.pointee.debug.isOn { warnOfHop(function) }
    }
}

/// A task's way to a loop. A type of its own, because the compiler's check of isolation regions takes a closure in
/// `hop` for a race.
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
            // The compiler leaves out the way to the loop when nothing before the first call seems to need it, and
            // `operation` would begin where the caller was. So this call is not to be optimised away.
            loop.countHop(function)
            return UncheckedSendable(value: try await operation.call())
        }
    }
}

extension LoopSerialExecutor: CustomStringConvertible {
    /// Such as `<LoopSerialExecutor of <SelectorEventLoop epoll, running>>`.
    public var description: String { "<LoopSerialExecutor of \(owner)>" }
}
