import AsyncIOSystem
import Selectors
public import SystemPackage

/// Watching descriptors of one's own.
extension SelectorEventLoop {
    /// Calls `body` in each tick in which `descriptor` is readable. asyncio: `add_reader`.
    ///
    /// A second call replaces the first. Errors and hang-ups count as readable. The descriptor stays yours: remove the
    /// reader before you close it. Throws `.descriptorInUse` if a transport owns it, `.busy` while a task waits for it,
    /// `.closed`, or an `IOError` (`EPERM` for a regular file). The loop's thread.
    public final func addReader(_ descriptor: FileDescriptor, _ body: @escaping () throws -> Void) throws {
        try watcher(of: descriptor, "addReader").set(.call(body), for: .read)
    }

    /// Calls `body` in each tick in which `descriptor` is writable. asyncio: `add_writer`. As ``addReader(_:_:)``.
    public final func addWriter(_ descriptor: FileDescriptor, _ body: @escaping () throws -> Void) throws {
        try watcher(of: descriptor, "addWriter").set(.call(body), for: .write)
    }

    /// Ends the calls for reading, also one that is queued already. Whether there was a reader. asyncio: `remove_reader`.
    @discardableResult
    public final func removeReader(_ descriptor: FileDescriptor) -> Bool {
        requireOnLoop("removeReader")
        return (users[descriptor.rawValue] as? DescriptorWatcher)?.removeCallback(.read) ?? false
    }

    /// Ends the calls for writing, also one that is queued already. Whether there was a writer. asyncio: `remove_writer`.
    @discardableResult
    public final func removeWriter(_ descriptor: FileDescriptor) -> Bool {
        requireOnLoop("removeWriter")
        return (users[descriptor.rawValue] as? DescriptorWatcher)?.removeCallback(.write) ?? false
    }

    /// Suspends the task until the next wait that finds `descriptor` readable, also if it is readable now.
    ///
    /// One task at a time: a second one gets `.busy`, also while there is a reader. Do not close the descriptor meanwhile.
    /// Throws `CancellationError`, and what ``addReader(_:_:)`` throws. Any task; off the loop, it hops.
    public final func waitReadable(_ descriptor: FileDescriptor) async throws {
        try await wait(for: .read, descriptor, "waitReadable")
    }

    /// Suspends the task until the next wait that finds `descriptor` writable. As ``waitReadable(_:)``.
    public final func waitWritable(_ descriptor: FileDescriptor) async throws {
        try await wait(for: .write, descriptor, "waitWritable")
    }

    private final func wait(
        for direction: Readiness, _ descriptor: FileDescriptor, _ function: StaticString
    ) async throws {
        try await atHome { record in
            let watcher = try watcher(of: descriptor, function)
            let token = makeWaiter()
            do {
                try watcher.set(.settle(token), for: direction)
            } catch {
                discardWaiter(token)
                throw error
            }
            let outcome = await suspend(token, record)
            if outcome != .ready { watcher.remove(token, direction) }
            try check(outcome)
        }
    }

    private final func watcher(of descriptor: FileDescriptor, _ function: StaticString) throws -> DescriptorWatcher {
        guard isOnLoop else { throw EventLoopError.wrongThread(function) }
        if isClosed { throw EventLoopError.closed }
        guard let user = users[descriptor.rawValue] else {
            return DescriptorWatcher(loop: self, descriptor: descriptor)
        }
        guard let watcher = user as? DescriptorWatcher else {
            throw EventLoopError(
                .descriptorInUse, "descriptor \(descriptor.rawValue) belongs to a transport of this loop")
        }
        return watcher
    }
}

/// Who reads and who writes one descriptor: callbacks of the user's, or tasks that wait.
final class DescriptorWatcher: EventSource {
    enum Use {
        /// At every event.
        case call(() throws -> Void)
        /// At the next event.
        case settle(WaiterToken)
    }

    private unowned let loop: SelectorEventLoop
    private let descriptor: FileDescriptor
    private var reader: Use?
    private var writer: Use?

    init(loop: SelectorEventLoop, descriptor: FileDescriptor) {
        self.loop = loop
        self.descriptor = descriptor
    }

    /// A callback replaces a callback; a waiting task is never pushed away, nor does it push anything away.
    func set(_ use: Use, for direction: Readiness) throws {
        switch (self[direction], use) {
        case (nil, _), (.call, .call): break
        default: throw EventLoopError.busy("use descriptor \(descriptor.rawValue)")
        }
        try setInterest(interest.union(direction))
        self[direction] = use
        // An event of this tick was for the former one.
        readiness.remove(direction)
    }

    func removeCallback(_ direction: Readiness) -> Bool {
        guard case .call = self[direction] else { return false }
        remove(direction)
        return true
    }

    /// The wait of `token` ended without an event.
    func remove(_ token: WaiterToken, _ direction: Readiness) {
        if case .settle(token) = self[direction] { remove(direction) }
    }

    override func run() -> UnownedJob? {
        // The readiness is kept up to date by what the reader does to the writer, and the other way round.
        let job = turn(.read)
        guard let job else { return turn(.write) }
        if let second = turn(.write) { loop.enqueue(LoopWord(.taskJob, job: second)) }
        return job
    }

    /// The job of the task that waited.
    private func turn(_ direction: Readiness) -> UnownedJob? {
        guard readiness.contains(direction), let use = self[direction] else { return nil }
        readiness.remove(direction)
        switch use {
        case .call(let body):
            do {
                try body()
            } catch {
                loop.callExceptionHandler(
                    ExceptionContext(message: "Exception in watcher of descriptor \(descriptor.rawValue)", error: error)
                )
            }
            return nil
        case .settle(let token):
            remove(direction)
            return loop.settleReturningJob(token)
        }
    }

    private func remove(_ direction: Readiness) {
        // Released by the caller, after everything is in order.
        self[direction] = nil
        readiness.remove(direction)
        // Less interest is no new registration, so it does not fail for a descriptor that is open.
        try? setInterest(interest)
    }

    private subscript(direction: Readiness) -> Use? {
        get { direction == .read ? reader : writer }
        set { if direction == .read { reader = newValue } else { writer = newValue } }
    }

    private var interest: Readiness {
        var interest: Readiness = []
        if reader != nil { interest.insert(.read) }
        if writer != nil { interest.insert(.write) }
        return interest
    }

    private func setInterest(_ interest: Readiness) throws {
        do {
            if interest.isEmpty {
                loop.unwatch(descriptor, self)
                loop.unregister(self)
            } else if name == nil {
                _ = loop.register(self)
                do {
                    try loop.watch(descriptor, self, for: interest, .level)
                } catch {
                    loop.unregister(self)
                    throw error
                }
            } else {
                try loop.rewatch(descriptor, self, for: interest)
            }
        } catch let error as Errno {
            throw IOError(error, operation: "watch descriptor \(descriptor.rawValue)")
        }
    }
}
