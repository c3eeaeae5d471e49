import AsyncIOSystem
import Selectors
import SystemPackage

/// Who reads and who writes one descriptor: callbacks of the user's, or tasks that wait.
///
/// It is the descriptor's user in the loop's table, and watches it, while somebody needs that; then it is forgotten.
/// Tasks keep theirs for as long as their operation lasts, so one that was ended by ``end()`` finds that out here, and
/// never looks at the next owner of the number.
final class DescriptorWatcher: EventSource {
    private enum Use {
        /// At every event.
        case call(CallSite, () throws -> Void)
        /// A task's, which has not waited yet: not watched.
        case held
        /// A task's, which is between two waits.
        case resumed
        /// A task's, which waits for the next event.
        case waiting(WaiterToken)

        var isWatched: Bool { if case .held = self { false } else { true } }
    }

    /// Whether the registration is still the descriptor's is a system call, so it is asked for only now and then: what
    /// reports events again and again is found, and nobody else pays for it.
    private static let eventsBetweenChecks: UInt64 = 1_024

    private unowned let loop: EventLoop
    private let descriptor: FileDescriptor
    private var reader: Use?
    private var writer: Use?
    /// What the poller was told.
    private var watched: Interest = []
    /// What tasks are to be told.
    private var found: Readiness = []
    private(set) var hasEnded = false
    /// Events so far.
    private var events: UInt64 = 0

    init(loop: EventLoop, descriptor: FileDescriptor) {
        self.loop = loop
        self.descriptor = descriptor
    }

    // MARK: Callbacks

    /// A callback replaces a callback; a task is never pushed away.
    func setCallback(_ body: @escaping () throws -> Void, _ site: CallSite, for direction: Interest) throws {
        switch self[direction] {
        case nil, .call: break
        default: throw busy
        }
        let former = self[direction]
        self[direction] = .call(site, body)
        do {
            // A descriptor that was closed, and opened again, is watched anew: some selectors have given it up.
            try update(renews: former != nil)
        } catch {
            // What there was before stays, if the poller still knows of it.
            self[direction] = former
            leaveIfUnused()
            throw error
        }
        // An event of this tick was for the former one.
        readiness.remove(Readiness(direction))
        // Released now: what it captured may set or remove a callback here.
        withExtendedLifetime(former) {}
    }

    func removeCallback(_ direction: Interest) -> Bool {
        guard case .call = self[direction] else { return false }
        remove(direction)
        return true
    }

    // MARK: Tasks

    /// Whether `directions` are free for a task.
    func check(_ directions: Interest) throws {
        if directions.contains(.read), reader != nil { throw busy }
        if directions.contains(.write), writer != nil { throw busy }
    }

    /// Takes `directions` for a task's operation, until `release`: nothing pushes in between two of its steps.
    func hold(_ directions: Interest) throws {
        try check(directions)
        if directions.contains(.read) { reader = .held }
        if directions.contains(.write) { writer = .held }
        claim()
    }

    func release(_ directions: Interest) {
        // After the end, the directions may be nobody's or another's.
        if hasEnded { return }
        if directions.contains(.read) { remove(.read) }
        if directions.contains(.write) { remove(.write) }
    }

    /// Suspends the task that holds `directions` until the next event for one of them. Which ones it was for.
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

    /// Lets everybody else have a turn, in the middle of an operation.
    nonisolated(nonsending) func yield() async throws {
        await loop.yield()
        try checkNotEnded()
    }

    /// The number may belong to somebody else, after a suspension.
    func checkNotEnded() throws {
        if loop.isClosed { throw EventLoopError.closed }
        if hasEnded { throw EventLoopError.socketClosed }
    }

    // MARK: Its end

    /// Nobody uses the descriptor any more: it is about to be closed. Tasks that wait get `.closed`.
    func end() {
        if hasEnded { return }
        hasEnded = true
        let uses = [reader.take(), writer.take()]
        if !watched.isEmpty { loop.unwatch(descriptor, self) }
        watched = []
        leaveIfUnused()
        for case .waiting(let token)? in uses { loop.settle(token, .closed) }
        // Callbacks are released now, when everything is in order.
        withExtendedLifetime(uses) {}
    }

    override func lostDescriptor() -> Interest {
        defer { end() }
        // Not unwatched: the next user changes the registration.
        let left = watched
        watched = []
        return left
    }

    // MARK: Its turn

    override var label: String { "a watcher of descriptor \(descriptor.rawValue)" }

    override var endedBy: EndingCause {
        for case .call? in [reader, writer] { return .none }
        return .peer
    }

    /// Of the callback whose turn is next.
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
        // The readiness is kept up to date by what the reader does to the writer, and the other way round.
        let job = turn(.read)
        guard let job else { return turn(.write) }
        if let second = turn(.write) { loop.enqueue(LoopWord(.taskJob, job: second)) }
        return job
    }

    /// The descriptor was closed, or its number given to another file, and a duplicate that is open elsewhere goes on
    /// to cause events, at each wait. As with poll(2), the users stay and hear nothing until one of them asks again.
    private func forgetStaleRegistration() {
        readiness = []
        watched = []
        loop.unwatch(descriptor, self)
        claim()
        // A task finds out why when it waits the next time.
        for case .waiting(let token)? in [reader, writer] { loop.settle(token, .ready) }
    }

    /// The job of the task that waited.
    private func turn(_ direction: Interest) -> UnownedJob? {
        guard readiness.contains(Readiness(direction)), let use = self[direction] else { return nil }
        readiness.remove(Readiness(direction))
        switch use {
        case .call(let site, let body):
            do {
                try body()
            } catch {
                loop.report(
                    ExceptionContext(message: "Exception in watcher", error: error, callSite: site, socket: descriptor))
            }
            return nil
        case .waiting(let token):
            found.insert(Readiness(direction))
            return loop.settleReturningJob(token)
        case .held, .resumed:
            // Level-triggered: told again when it waits again.
            return nil
        }
    }

    // MARK: What is watched

    private func remove(_ direction: Interest) {
        // A callback is released at the end, when everything is in order.
        let former = self[direction]
        self[direction] = nil
        readiness.remove(Readiness(direction))
        // Less interest is no new registration, so it does not fail for a descriptor that is open.
        try? update()
        withExtendedLifetime(former) {}
    }

    /// Tells the poller what changed.
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
        // The loop has taken it out of its table with the watch.
        if reader != nil || writer != nil { claim() } else { leaveIfUnused() }
    }

    private func watch(_ wanted: Interest) throws(Errno) {
        if watched.isEmpty { return try loop.watch(descriptor, self, for: wanted, .level) }
        do {
            try loop.rewatch(descriptor, self, from: watched, to: wanted, .level)
        } catch {
            // A descriptor that was closed without a word, and opened again, is not known any more.
            do {
                try loop.watch(descriptor, self, for: wanted, .level)
            } catch .fileExists {
                // It is watched as it was.
                throw error
            } catch let reason {
                watched = []
                throw error == .noSuchFileOrDirectory ? reason : error
            }
        }
    }

    private func claim() {
        if id == nil { _ = loop.register(self) }
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
