import AsyncIOSystem
import Selectors
import SystemPackage

/// The reader and the writer of one descriptor: callbacks of the user, or tasks that wait. While it has one, it is the
/// descriptor's user in the loop's table and watches the descriptor.
///
/// A task retains its watcher for as long as its operation lasts, so it finds out here that the watcher was ended by
/// ``end()``, and never acts on the next owner of the number.
final class DescriptorWatcher: EventSource {
    private enum Use {
        case call(CallSite, () throws -> Void)
        /// A task that has not waited yet. The direction is not watched.
        case held
        /// A task that is between two waits.
        case resumed
        case waiting(WaiterToken)

        var isWatched: Bool { if case .held = self { false } else { true } }
    }

    /// Events between two checks (a system call) that the registration belongs to the descriptor: often enough for a
    /// file that causes events without an end, and rarely enough to cost others nothing.
    private static let eventsBetweenChecks: UInt64 = 1_024

    private unowned let loop: EventLoop
    private let descriptor: FileDescriptor
    private var reader: Use?
    private var writer: Use?
    /// What the poller watches the descriptor for.
    private var watched: Interest = []
    /// What a task that waits will be notified of.
    private var found: Readiness = []
    /// The operation for which the task that holds the write direction waits, if the loop waits for completions.
    private var operation: EventSource?
    private(set) var hasEnded = false
    private var events: UInt64 = 0

    init(loop: EventLoop, descriptor: FileDescriptor) {
        self.loop = loop
        self.descriptor = descriptor
    }

    // MARK: Callbacks

    /// Sets the callback of a direction. It replaces another callback, but never a task that waits.
    func setCallback(_ body: @escaping () throws -> Void, _ site: CallSite, for direction: Interest) throws {
        switch self[direction] {
        case nil, .call: break
        default: throw busy
        }
        let former = self[direction]
        self[direction] = .call(site, body)
        do {
            // Some selectors have discarded a descriptor that was closed and opened again.
            try update(renews: former != nil)
        } catch {
            // The former callback stays, if the poller still watches the descriptor.
            self[direction] = former
            leaveIfUnused()
            throw error
        }
        // An event of this iteration was for the former callback.
        readiness.remove(Readiness(direction))
        // Released only now, because releasing what it captured may set or remove a callback here.
        withExtendedLifetime(former) {}
    }

    func removeCallback(_ direction: Interest) -> Bool {
        guard case .call = self[direction] else { return false }
        remove(direction)
        return true
    }

    // MARK: Tasks

    func check(_ directions: Interest) throws {
        if directions.contains(.read), reader != nil { throw busy }
        if directions.contains(.write), writer != nil { throw busy }
    }

    /// Reserves `directions` for a task's operation until `release`, so that no other task can interleave.
    func hold(_ directions: Interest) throws {
        try check(directions)
        if directions.contains(.read) { reader = .held }
        if directions.contains(.write) { writer = .held }
        claim()
    }

    func release(_ directions: Interest) {
        // After the end, the directions may be unused or belong to another task.
        if hasEnded { return }
        if directions.contains(.read) { remove(.read) }
        if directions.contains(.write) { remove(.write) }
    }

    /// Suspends the task that has reserved `directions` until an event for them. Returns those that the event was for.
    nonisolated(nonsending) func wait(for directions: Interest, _ record: TaskRecord?) async throws -> Readiness {
        try checkNotEnded()
        let token = loop.makeWaiter()
        do {
            set(.waiting(token), directions)
            try update()
        } catch {
            set(.held, directions)
            loop.discardWaiter(token)
            throw error
        }
        readiness.subtract(Readiness(directions))
        found.subtract(Readiness(directions))
        let outcome = await loop.suspend(token, record)
        try checkNotEnded()
        set(.resumed, directions)
        try loop.check(outcome)
        return found.matching(directions)
    }

    /// Lets everything else that is ready run, in the middle of an operation.
    nonisolated(nonsending) func yield() async throws {
        await loop.yield()
        try checkNotEnded()
    }

    /// As `beginConnecting` of the loop, for the task that holds the write direction.
    nonisolated(nonsending) func beginConnecting(
        _ socket: Socket, to address: SocketAddress, _ record: TaskRecord?
    ) async throws -> Bool {
        defer { operation = nil }
        let isConnected: Bool
        do {
            isConnected = try await loop.beginConnecting(socket, to: address, record) { operation = $0 }
        } catch {
            try checkNotEnded()
            throw error
        }
        try checkNotEnded()
        return isConnected
    }

    /// Called after each suspension, because the number may belong to another file then.
    func checkNotEnded() throws {
        if loop.isClosed { throw EventLoopError.closed }
        if hasEnded { throw EventLoopError.socketClosed }
    }

    // MARK: Ending

    /// Ends the watcher, because the descriptor is about to be closed. Tasks that wait get `.closed`.
    func end() {
        if hasEnded { return }
        hasEnded = true
        let uses = [reader.take(), writer.take()]
        if !watched.isEmpty { loop.unwatch(descriptor, self) }
        watched = []
        _ = operation.take()?.lostDescriptor()
        leaveIfUnused()
        for case .waiting(let token)? in uses { loop.settle(token, .closed) }
        // Callbacks are released only now, when the state is consistent.
        withExtendedLifetime(uses) {}
    }

    override func lostDescriptor() -> Interest {
        defer { end() }
        // Not unwatched, because the next user changes the registration.
        let left = watched
        watched = []
        return left
    }

    // MARK: Running

    override var label: String { "a watcher of descriptor \(descriptor.rawValue)" }

    override var endedBy: EndingCause {
        for case .call? in [reader, writer] { return .none }
        return .peer
    }

    /// The call site of the callback that is called next.
    override var origin: CallSite? {
        switch (readiness.contains(.read) ? reader : nil) ?? writer ?? reader {
        case .call(let site, _): site
        default: nil
        }
    }

    override func run() -> UnownedJob? {
        events &+= 1
        if events % Self.eventsBetweenChecks == 0, !watched.isEmpty, loop.isStale(descriptor) {
            forgetStaleRegistration()
            return nil
        }
        // Read again for each direction, because a callback for one direction may change the other.
        let job = deliver(.read)
        guard let job else { return deliver(.write) }
        if let second = deliver(.write) { loop.enqueue(LoopWord(.taskJob, job: second)) }
        return job
    }

    /// Ends the watch of a descriptor whose file was closed, while a duplicate that is open elsewhere causes events at
    /// each wait. As with poll(2), the users stay, and get no events until one of them asks again.
    private func forgetStaleRegistration() {
        readiness = []
        watched = []
        loop.unwatch(descriptor, self)
        claim()
        // A task finds out the reason when it waits the next time.
        for case .waiting(let token)? in [reader, writer] { loop.settle(token, .ready) }
    }

    /// Calls the callback of a direction, or returns the job of the task that waits for it.
    private func deliver(_ direction: Interest) -> UnownedJob? {
        guard readiness.contains(Readiness(direction)), let use = self[direction] else { return nil }
        readiness.remove(Readiness(direction))
        switch use {
        case .call(let site, let body):
            do {
                try body()
            } catch {
                loop.report(
                    ExceptionContext(
                        message: "Exception in \(direction == .read ? "reader" : "writer")", error: error,
                        callSite: site, socket: descriptor))
            }
            return nil
        case .waiting(let token):
            found.insert(Readiness(direction))
            return loop.settleReturningJob(token)
        case .held, .resumed:
            // Level-triggered, so the event is reported again when the task waits again.
            return nil
        }
    }

    // MARK: What is watched

    private func remove(_ direction: Interest) {
        // Released at the end of this function, when the state is consistent.
        let former = self[direction]
        self[direction] = nil
        readiness.remove(Readiness(direction))
        // Less interest needs no new registration, so this does not fail for an open descriptor.
        try? update()
        withExtendedLifetime(former) {}
    }

    private func update(renews: Bool = false) throws {
        var wanted: Interest = []
        if reader?.isWatched == true { wanted.insert(.read) }
        if writer?.isWatched == true { wanted.insert(.write) }
        if wanted != watched || renews && !wanted.isEmpty {
            if wanted.isEmpty {
                watched = []
                loop.unwatch(descriptor, self)
            } else {
                claim()
                do {
                    try watch(wanted)
                    watched = wanted
                } catch {
                    throw IOError(error, operation: "watch descriptor \(descriptor.rawValue)")
                }
            }
        }
        // The end of the watch has removed the watcher from the loop's table.
        if reader != nil || writer != nil { claim() } else { leaveIfUnused() }
    }

    private func watch(_ wanted: Interest) throws(Errno) {
        if watched.isEmpty { return try loop.watch(descriptor, self, for: wanted, .level) }
        do {
            try loop.rewatch(descriptor, self, from: watched, to: wanted, .level)
        } catch {
            // The poller does not know a descriptor that was closed without notice and opened again.
            do {
                try loop.watch(descriptor, self, for: wanted, .level)
            } catch .fileExists {
                throw error
            } catch let reason {
                watched = []
                throw error == .noSuchFileOrDirectory ? reason : error
            }
        }
    }

    private func claim() {
        if id == nil { loop.register(self) }
        loop.core.pointee.descriptors[descriptor.rawValue] = self
    }

    private func leaveIfUnused() {
        guard reader == nil, writer == nil else { return }
        if loop.core.pointee.descriptors[descriptor.rawValue] === self {
            loop.core.pointee.descriptors[descriptor.rawValue] = nil
        }
        loop.unregister(self)
    }

    private func set(_ use: Use, _ directions: Interest) {
        if directions.contains(.read) { reader = use }
        if directions.contains(.write) { writer = use }
    }

    private subscript(direction: Interest) -> Use? {
        get { direction == .read ? reader : writer }
        set { if direction == .read { reader = newValue } else { writer = newValue } }
    }

    private var busy: EventLoopError { .busy("use descriptor \(descriptor.rawValue)") }
}
