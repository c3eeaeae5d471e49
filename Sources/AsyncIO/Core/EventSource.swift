package import AsyncIOSystem

/// What could still end something that a loop holds.
package enum EndingCause: Comparable {
    /// Nothing but its time, or the program.
    case none
    /// A peer, or another task of the loop.
    case peer
    /// Another thread.
    case thread
}

/// Something that the poller's events are for: a transport's driver, a listener, the waker.
///
/// It is registered with its loop, which holds it until `unregister`, and gets its turn in the ready queue when there
/// are events for it. The loop's thread only.
///
/// Its fields, and those of drivers, transports and streams, are read and written within single statements, so the
/// dynamic check of overlapping accesses can find nothing: it is off for those that every message touches, a fifth of
/// the cost of a message.
package class EventSource {
    /// Its name while it is registered.
    package fileprivate(set) final var id: SlotID? {
        @inline(__always)
        get { storedID.load() }
        set { storedID.store(newValue) }
    }
    /// Changed by the loop's thread only; others may read it.
    private final let storedID = AtomicSlotID()
    /// Whether it waits for its turn.
    @exclusivity(unchecked) final var isQueued = false
    /// What the selector told since its last turn.
    @exclusivity(unchecked) package final var readiness: Readiness = []
    /// Directions in which one call may be made although the budget is used up, since the source was deferred before.
    @exclusivity(unchecked) final var grants: Interest = []
    /// The source runs while more bytes than this are left in the loop's ``ByteBudget``: always, if it moves no bytes.
    @exclusivity(unchecked) final var reservedBytes = Int32.min
    /// The value for a source that needs a budget and never counts as bulk.
    static let neverBulk: Int32 = -1

    /// Whether it moves much, so that others go first.
    final var isBulk: Bool { reservedBytes > 0 }

    /// Notes how many bytes it, and the task that it resumed, have moved.
    @inline(__always)
    final func moved(_ byteCount: Int) {
        if reservedBytes < 0 { return }
        reservedBytes = byteCount < ByteBudget.bulkBytes ? 0 : Int32(ByteBudget.bytesReservedFromBulk)
    }

    init() {}

    /// What it is, for reports.
    package var label: String { "\(type(of: self))" }

    /// Where its user made it, for reports.
    package var origin: CallSite? { nil }

    /// Whether the close of the loop finds it open although its user should have closed it.
    package var isLeftOpen: Bool { true }

    /// Whether the loop has it for itself.
    package var isInternal: Bool { false }

    /// What could still end it, when a test looks for what is left.
    package var endedBy: EndingCause { .peer }

    /// Its turn. May hand back one job, of the task that waited for what happened; it runs at once.
    package func run() -> UnownedJob? { nil }

    /// An operation of its own has a result. Called before it runs; it queues itself if there is something to do.
    package func completed(_ completion: OperationCompletion) {}

    /// The end of a tick in which it asked for this with `queueAtEndOfTick`.
    package func endOfTick() {}

    /// The user's last reference is gone.
    package func abandoned() {}

    /// The loop runs its tasks to their ends: bring no new ones.
    package func drain() {}

    /// Another source is about to use its descriptor: the number was closed without notice, or given to a transport.
    ///
    /// - Returns: What the poller watches the descriptor for. The caller takes that registration over.
    package func lostDescriptor() -> Interest { [] }

    /// The loop has closed a descriptor; it is in `lackingDescriptors` no more.
    package func descriptorWasClosed() {}

    /// The loop is closing: free what the kernel holds, call nobody.
    package func loopClosed() {}
}

/// What an operation of a source has resulted in.
package struct OperationCompletion {
    /// What the submission returned.
    package var operation: SlotID
    /// A count or a descriptor, or a negated `errno`.
    package var result: Int
    /// Whether the operation goes on, and completes again.
    package var hasMore: Bool
}

extension EventLoop {
    /// Makes the descriptor a source's, which does not watch it yet. A source that used it before loses it.
    package final func claim(_ descriptor: FileDescriptor, for source: EventSource) {
        if !take(descriptor, for: source).isEmpty { endRegistration(of: descriptor) }
    }

    /// As `claim(_:for:)`, but leaves the registration of the former user to the caller.
    ///
    /// - Returns: What the poller watches the descriptor for.
    final func take(_ descriptor: FileDescriptor, for source: EventSource) -> Interest {
        let former = core.pointee.descriptors[descriptor.rawValue]
        if former === source { return [] }
        let interest = former?.lostDescriptor() ?? []
        core.pointee.descriptors[descriptor.rawValue] = source
        return interest
    }

    /// Gives `source` a name, which the poller's events carry.
    package final func register(_ source: EventSource) -> SlotID {
        let id = core.pointee.sources.insert(source)
        source.id = id
        return id
    }

    /// Forgets `source`. Events that are on their way for it find nothing.
    package final func unregister(_ source: EventSource) {
        guard let id = source.id else { return }
        source.id = nil
        if let source = core.pointee.sources.remove(id) { releaseLater(source) }
    }

    /// Releases `object` when this iteration has run, or the next one. What an event reaches within an iteration, a
    /// source, its transport, need not be retained while it is called.
    final func releaseLater(_ object: AnyObject) {
        core.pointee.released.append(object)
    }

    /// What is freed here may add to the list again.
    @inline(never)
    final func releaseReleased() {
        swap(&core.pointee.released, &core.pointee.releasedSpare)
        core.pointee.releasedSpare.removeAll(keepingCapacity: true)
    }

    /// Queues `source` to run once, however many events there are. A source that moves much runs after all others.
    @inline(__always)
    package final func queue(_ source: EventSource) {
        guard !source.isQueued, let id = source.id else { return }
        source.isQueued = true
        let word = LoopWord(.source, id)
        if source.isBulk { core.pointee.budget.queueBulk(word) } else { core.pointee.ready.push(word) }
    }

    /// Calls `endOfTick()` of `source` when this tick has run.
    package final func queueAtEndOfTick(_ source: EventSource) {
        core.pointee.endOfTick.append(source)
    }

    /// Closes a socket on the loop's thread. Listeners that lack descriptors accept again.
    package final func closeSocket(_ socket: Socket) {
        socket.close()
        descriptorWasClosed()
    }

    /// To be called when the loop has closed a descriptor.
    @inline(__always)
    package final func descriptorWasClosed() {
        if !core.pointee.lackingDescriptors.isEmpty { resumeLacking() }
    }

    @inline(never)
    private final func resumeLacking() {
        let sources = core.pointee.lackingDescriptors
        core.pointee.lackingDescriptors = []
        for source in sources { source.descriptorWasClosed() }
    }

    /// From a `deinit` on any thread: the user has dropped a source without closing it.
    final func abandonSource(_ id: SlotID) {
        if isRunningHere, !isClosed {
            core.pointee.ready.push(LoopWord(.abandonedSource, id))
        } else {
            _ = inbox.post(LoopWord(.abandonedSource, id))
        }
    }
}
