package import AsyncIOSystem

/// What can still end something that a loop retains.
package enum EndingCause: Comparable {
    /// Nothing except its deadline or the program.
    case none
    /// A peer, or another task of the loop.
    case peer
    /// Another thread.
    case thread
}

/// An object that the poller's events are delivered to: a transport's driver, a listener, the waker. Its loop retains
/// it from `register` to `unregister`. When there are events for it, it is put into the ready queue and runs once.
///
/// The fields of sources, drivers, transports and streams are accessed within single statements, so the dynamic check
/// of overlapping accesses can find nothing. It is off for the fields that every message uses, because it is a fifth of
/// the cost of a message.
/// - Thread: the loop's.
package class EventSource {
    /// Set while the source is registered.
    @exclusivity(unchecked) package fileprivate(set) final var id: SlotID?
    @exclusivity(unchecked) final var isQueued = false
    /// The readiness that was reported since it ran last.
    @exclusivity(unchecked) package final var readiness: Readiness = []
    /// Directions in which one call may be made although the budget is used up, because the source was deferred before.
    @exclusivity(unchecked) final var grants: Interest = []
    /// It runs while more bytes than this are left in the loop's ``ByteBudget``; always, if it moves no bytes.
    @exclusivity(unchecked) final var reservedBytes = Int32.min
    /// The value for a source that needs a budget and never counts as bulk.
    static let neverBulk: Int32 = -1

    /// Whether it moves many bytes, so that other sources run first.
    final var isBulk: Bool { reservedBytes > 0 }

    @inline(never) final func takeGrant(_ direction: Interest) -> Bool { grants.remove(direction) != nil }

    /// Records how many bytes the source and the task that it resumed have moved. A run without bytes changes nothing.
    @inline(__always) final func moved(_ byteCount: Int) {
        if byteCount >= ByteBudget.bulkBytes {
            if reservedBytes >= 0 { reservedBytes = Int32(ByteBudget.bytesReservedFromBulk) }
        } else if isBulk, byteCount != 0 {
            reservedBytes = 0
        }
    }

    init() {}

    /// For reports.
    package var label: String { "\(type(of: self))" }

    /// The call that created it, for reports.
    package var origin: CallSite? { nil }

    /// Whether it is still open, at the close of the loop, although its user should have closed it.
    package var isLeftOpen: Bool { !isInternal }

    package var isInternal: Bool { false }

    /// What can still end it, for tests that check what is left.
    package var endedBy: EndingCause { .peer }

    /// Handles its events. May return one job, that of the task that waited for them; it runs at once.
    package func run() -> UnownedJob? { nil }

    /// Handles the result of one of its operations. Returns whether it has to run.
    package func completed(_ completion: OperationCompletion) -> Bool { false }

    /// Called at the end of an iteration in which the source was passed to `queueAtEndOfIteration`.
    package func endOfIteration() {}

    /// Called when the user has released the last reference.
    package func abandoned() {}

    /// Stops creating new tasks, because the loop runs its tasks to their ends.
    package func drain() {}

    /// Called when another source is about to use its descriptor, which was closed without notice or given to a
    /// transport. Returns the interest that the poller watches it for; the caller takes that registration over.
    package func lostDescriptor() -> Interest { [] }

    /// Called when the loop has closed a descriptor, after the source was removed from `lackingDescriptors`.
    package func descriptorWasClosed() {}

    /// Called when a test has replaced the system calls of the loop, or undone that.
    package func systemCallsChanged(areReplaced: Bool) {}

    /// Frees the kernel's resources without calling the user, because the loop is closing.
    package func loopClosed() {}
}

package struct OperationCompletion {
    package var operation: SlotID
    /// A count or a descriptor, or a negated `errno`.
    package var result: Int
    package var hasMore: Bool
    /// The received bytes, in a buffer of the loop's pool that now belongs to the source.
    package var buffer: PooledBuffer?
}

extension EventLoop {
    /// Makes `source`, which does not watch the descriptor yet, its user. A source that used it before loses it.
    package final func claim(_ descriptor: FileDescriptor, for source: EventSource) {
        if !take(descriptor, for: source).isEmpty { endRegistration(of: descriptor) }
    }

    /// As `claim(_:for:)`, but returns the interest of the former user's registration, which the caller takes over.
    final func take(_ descriptor: FileDescriptor, for source: EventSource) -> Interest {
        let former = core.pointee.descriptors[descriptor.rawValue]
        if former === source { return [] }
        let interest = former?.lostDescriptor() ?? []
        core.pointee.descriptors[descriptor.rawValue] = source
        return interest
    }

    /// Ends the watch, before the descriptor is closed: see `EpollSelector`. Has no effect if `source` is not its user.
    package final func unwatch(_ descriptor: FileDescriptor, _ source: EventSource) {
        guard core.pointee.descriptors[descriptor.rawValue] === source else { return }
        core.pointee.descriptors[descriptor.rawValue] = nil
        endRegistration(of: descriptor)
    }

    package final func register(_ source: EventSource) { source.id = core.pointee.sources.insert(source) }

    /// Its id becomes stale, so events that are still in flight are discarded.
    package final func unregister(_ source: EventSource) {
        guard let id = source.id else { return }
        source.id = nil
        if let source = core.pointee.sources.remove(id) { releaseLater(source) }
    }

    /// Releases `object` after this iteration or the next one, so that an object that an event reaches, such as a
    /// source and its transport, need not be retained while it is called.
    final func releaseLater(_ object: AnyObject) { core.pointee.released.append(object) }

    /// The `deinit`s may add to the list again; if not, it gets its memory back.
    @inline(never) final func releaseReleased() {
        var objects: [AnyObject] = []
        swap(&objects, &core.pointee.released)
        objects.removeAll(keepingCapacity: true)
        if core.pointee.released.isEmpty { swap(&objects, &core.pointee.released) }
    }

    /// Queues `source` to run once. A source that moves many bytes runs after all others.
    @inline(__always) package final func queue(_ source: EventSource) {
        guard !source.isQueued, let id = source.id else { return }
        source.isQueued = true
        let word = LoopWord(.source, id)
        if source.isBulk { core.pointee.budget.queueBulk(word) } else { core.pointee.ready.push(word) }
    }

    package final func queueAtEndOfIteration(_ source: EventSource) {
        core.pointee.endOfIteration.append(source)
    }

    /// Closes a socket. Listeners that ran out of descriptors accept again.
    package final func closeSocket(_ socket: Socket) {
        socket.close()
        descriptorWasClosed()
    }

    /// Must be called when the loop has closed a descriptor.
    @inline(__always) package final func descriptorWasClosed() {
        if !core.pointee.lackingDescriptors.isEmpty { resumeLacking() }
    }

    @inline(never) private final func resumeLacking() {
        let sources = core.pointee.lackingDescriptors
        core.pointee.lackingDescriptors = []
        for source in sources { source.descriptorWasClosed() }
    }

    /// Reports, on any thread, that the user has released a source without closing it.
    final func abandonSource(_ id: SlotID) { _ = submit(LoopWord(.abandonedSource, id)) }
}
