package import AsyncIOSystem
public import Proactors
package import Selectors
package import SystemPackage

/// An event loop over completion: a proactor carries out its operations. asyncio: `ProactorEventLoop`.
open class ProactorEventLoop: EventLoop, @unchecked Sendable {
    private let proactor: any BaseProactor
    /// Reused by each wait, so that an iteration allocates nothing.
    @exclusivity(unchecked) private var events: [Completion] = []
    /// Until their last completions. Each retains its source, which owns the operation's memory.
    @exclusivity(unchecked) private var operations = Slab<EventSource>()
    private let immediateSendsOwner = ImmediateSends.Owner()
    final let immediateSends: UnsafeMutablePointer<ImmediateSends>
    /// Not retained for each buffer.
    @exclusivity(unchecked) private(set) final var unretainedPool: Unmanaged<BufferPool>!
    final let supportsImmediateTransfers: Bool
    private var polls: [CInt: Poll] = [:]
    @exclusivity(unchecked) private var completedPolls: [Poll] = []

    /// Creates a loop, which owns `proactor`, by default the one of this system: io_uring on Linux.
    ///
    /// Throws `.unsupported` if the system has no proactor or refuses it, with the reason, and an `IOError` if it
    /// cannot be created now or the loop's own descriptors cannot be watched.
    public init(proactor: (any BaseProactor)? = nil, clock: EventLoopClock = .system) throws {
        let proactor = try proactor ?? Self.makeProactor()
        self.proactor = proactor
        supportsImmediateTransfers = proactor.supportsImmediateTransfers
        events.reserveCapacity(Self.reservedEvents)
        immediateSends = immediateSendsOwner.sends
        try super.init(clock: clock)
        unretainedPool = Unmanaged.passUnretained(chunkPool)
        core.pointee.hasEndOfIteration = supportsImmediateTransfers
        proactor.buffers = chunkPool
    }

    private static func makeProactor() throws -> any BaseProactor {
        do {
            return try DefaultProactor.make()
        } catch {
            let name = DefaultProactor.candidates.first?.name ?? "completion"
            throw BackEndFailure(error, of: name)?.error ?? error
        }
    }

    /// The type's name without `Proactor` and in lower case, or the whole name if it has another ending.
    open override var backendName: String {
        let name = "\(type(of: proactor))"
        if name == "IOUringProactor" { return "io_uring" }
        return name.hasSuffix("Proactor") ? String(name.dropLast("Proactor".count)).lowercased() : name
    }

    // MARK: Operations

    /// Begins an operation, whose completions go to `source`, and retains the source until the last of them.
    package final func submit(_ operation: ProactorOperation, for source: EventSource) throws(Errno) -> SlotID {
        let id = operations.insert(source)
        do {
            try proactor.submit(operation, token: id.bits)
        } catch {
            _ = operations.remove(id)
            throw error
        }
        return id
    }

    /// The operation completes nevertheless.
    package final func cancel(_ operation: SlotID, _ kind: ProactorOperation.Kind) {
        proactor.cancel(kind, token: operation.bits)
    }

    package override func runEnded() {
        if immediateSends.pointee.hasQueued { immediateSends.pointee.submitQueued(to: proactor) }
        proactor.flush()
    }

    /// Reserves a token for a source, which is retained until `removeToken(_:)`.
    final func makeToken(for source: EventSource) -> SlotID { operations.insert(source) }
    final func removeToken(_ token: SlotID) { _ = operations.remove(token) }

    final func sendAtOnce(_ bytes: UnsafeRawBufferPointer, on socket: Socket) -> IOResult {
        proactor.sendAtOnce(bytes, on: socket)
    }

    final func receiveAtOnce(into buffer: UnsafeMutableRawBufferPointer, from socket: Socket) -> IOResult {
        proactor.receiveAtOnce(into: buffer, from: socket)
    }

    package override func endOfIteration() {
        if immediateSends.pointee.hasQueued { immediateSends.pointee.submitQueued(to: proactor) }
    }

    package override func wait(timeoutNanoseconds: Int64?) throws(Errno) {
        // Bytes that were written between two runs.
        if immediateSends.pointee.hasQueued { immediateSends.pointee.submitQueued(to: proactor) }
        var timeoutNanoseconds = immediateSends.pointee.isAwaited ? 0 : timeoutNanoseconds
        if !completedPolls.isEmpty {
            armPolls()
            // The sources of the others run first.
            if !completedPolls.isEmpty { timeoutNanoseconds = 0 }
        }
        try proactor.wait(timeoutNanoseconds: timeoutNanoseconds, into: &events)
    }

    package override func queueEvents() {
        for event in events {
            let id = SlotID(bits: event.token)
            // SAFETY: the source is not retained. It remains in the slab, or is released after this iteration.
            guard let source = operations.unretained(id) else {
                // A late completion finds no source.
                if let buffer = event.buffer { chunkPool.put(buffer.memory, buffer.size) }
                continue
            }
            source._withUnsafeGuaranteedRef {
                let completion = OperationCompletion(
                    operation: id, result: event.result, hasMore: event.hasMore, buffer: event.buffer)
                if $0.completed(completion) { queue($0) }
            }
            if !event.hasMore, let source = operations.remove(id) { releaseLater(source) }
        }
        events.removeAll(keepingCapacity: true)
        if supportsImmediateTransfers, proactor.immediateSendsHaveEnded {
            for driver in immediateSends.pointee.ended(unretainedPool) { driver.immediateSendEnded() }
        }
    }

    // MARK: Watching

    package override func watch(
        _ descriptor: FileDescriptor, _ source: EventSource, for interest: Interest, _ trigger: Trigger
    ) throws(Errno) {
        guard source.id != nil else { throw .invalidArgument }
        if polls[descriptor.rawValue]?.source === source { throw .fileExists }
        try Poll.check(descriptor)
        let wasUser = core.pointee.descriptors[descriptor.rawValue] === source
        claim(descriptor, for: source)
        let poll = Poll(descriptor, source, interest, on: self)
        do {
            try poll.arm()
        } catch {
            polls[descriptor.rawValue] = nil
            if !wasUser { core.pointee.descriptors[descriptor.rawValue] = nil }
            throw error
        }
        polls[descriptor.rawValue] = poll
    }

    package override func rewatch(
        _ descriptor: FileDescriptor, _ source: EventSource, from former: Interest, to interest: Interest,
        _ trigger: Trigger
    ) throws(Errno) {
        if former.isEmpty { return try watch(descriptor, source, for: interest, trigger) }
        guard let poll = polls[descriptor.rawValue], poll.source === source else { throw .noSuchFileOrDirectory }
        if interest.isEmpty {
            polls[descriptor.rawValue] = nil
            poll.end()
        } else {
            try poll.change(to: interest)
        }
    }

    package override func endRegistration(of descriptor: FileDescriptor) {
        polls.removeValue(forKey: descriptor.rawValue)?.end()
    }

    final func armLater(_ poll: Poll) { completedPolls.append(poll) }

    /// Arms the polls that have completed, unless their source was deferred and has not run yet.
    @inline(never) private final func armPolls() {
        let polls = completedPolls
        completedPolls.removeAll(keepingCapacity: true)
        for poll in polls where !poll.armAgain() { completedPolls.append(poll) }
    }

    // MARK: Sockets

    override func beginConnecting(
        _ socket: Socket, to address: SocketAddress, _ record: TaskRecord?, willSuspend: (EventSource) -> Void
    ) async throws -> Bool {
        let wait = OperationWait(on: self)
        willSuspend(wait)
        let result = try await wait.result(of: .connect(socket, to: address), record)
        if result >= 0 { return true }
        let error = Errno(rawValue: CInt(truncatingIfNeeded: -result))
        // An earlier call that was cancelled, or this one before it was interrupted, has begun the attempt.
        if error == .alreadyInProcess || error == .nowInProgress || error == .interrupted { return false }
        throw error
    }

    package override func makeAcceptDriver(_ socket: Socket, clientsPerIteration: Int) -> AcceptDriver {
        CompletionAcceptDriver(socket, on: self, clientsPerIteration: clientsPerIteration)
    }

    package override func makeStreamDriver(_ channel: ByteChannel) throws(Errno) -> StreamDriver {
        CompletionStreamDriver(channel, on: self)
    }

    /// A proactor that cannot receive messages polls, as it does for descriptors that are watched.
    package override func makeDatagramDriver(
        _ socket: Socket, family: SocketAddress.Family?, isConnected: Bool
    ) throws(Errno) -> DatagramDriver {
        if proactor.receivesMessages {
            return CompletionDatagramDriver(socket, family: family, isConnected: isConnected, on: self)
        }
        return try ReadinessDatagramDriver(
            socket, family: family, isConnected: isConnected, on: self, trigger: .level)
    }

    package override func replaceSystemCalls(by calls: (any SystemCalls)?) {
        super.replaceSystemCalls(by: calls)
        (proactor as? any MakesSystemCalls)?.systemCalls = calls
    }

    package override func closePoller() {
        polls = [:]
        completedPolls = []
        proactor.close()
        let isUnfinished = proactor.hasUnfinishedOperations
        for id in operations.ids {
            guard let source = operations.remove(id) else { continue }
            // Never released, because the kernel may still write to its memory.
            if isUnfinished { _ = Unmanaged.passRetained(source) }
        }
        if !isUnfinished { immediateSends.pointee.removeAll(unretainedPool) }
    }
}
